//! Shared by models of all families: how connections are accepted, how many are open, how long they
//! wait, and how the server stops.

pub mod listener;
pub mod loops;
pub mod room;
pub mod shutdown;
pub mod sweep;
pub mod timers;
