//! What the command `c10k` is made of, as a library so that benches and tests measure with the same pieces.

pub mod command;
mod cpus;
mod environment;
mod interrupt;
mod limits;
mod progress;
mod resources;
mod runner;
pub mod subject;
mod suite;
