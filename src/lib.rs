//! What the command `c10k` is made of, as a library so that benches and tests measure with the same pieces.

pub mod command;
mod cpus;
mod environment;
mod interrupt;
mod limits;
pub mod output;
mod progress;
mod resources;
mod responder;
mod runner;
pub mod subject;
mod suite;
mod time;
