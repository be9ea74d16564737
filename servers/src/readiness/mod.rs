//! Shared by the models that are told which sockets are ready.

pub mod event_loop;
pub mod mailbox;
pub mod peer;
pub mod raw_epoll;
