//! Shared by the models whose threads or processes wait in blocking calls, and by the pools of
//! threads in which handlers may block.

pub mod children;
pub mod connection;
pub mod handler_pool;
pub mod open_connections;
pub mod pool;
