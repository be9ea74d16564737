//! What the command `c10k` is made of, as a library so that benches and tests measure with the same pieces.

pub mod command;
pub mod cpus;
mod environment;
pub mod interrupt;
pub mod limits;
pub mod measure;
pub mod output;
mod progress;
pub mod resources;
mod responder;
mod runner;
pub mod subject;
mod suite;
pub mod time;
