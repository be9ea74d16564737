//! A worker of a [Locust](https://locust.io) master: the generator of this machine, steered from
//! another one.
//!
//! `session.rs` is the worker's side of the protocol as a state machine without I/O. `run.rs`
//! connects it with the master (`link.rs`) and with the generator (`generator.rs`).

mod action;
mod generator;
mod link;
mod order;
mod protocol;
mod report;
mod run;
mod session;

pub use action::Exit;
pub use run::{Worker, work};
