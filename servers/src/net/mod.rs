//! Shared by models of all families: how connections are accepted, how many are open, how long they
//! wait, and how the server stops.

pub mod capacity;
pub mod listener;
pub mod shards;
pub mod shutdown;
pub mod timeout_scan;
pub mod timers;
pub mod wake_up;
