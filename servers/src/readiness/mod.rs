//! Shared by the models that are told which sockets are ready.

pub mod connection;
pub mod event_loop;
pub mod mailbox;
pub mod raw_epoll;
