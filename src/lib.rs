//! The parts of the command `c10k`, as a library so that benches and tests measure with the same
//! code.

mod cgroup;
mod child;
pub mod command;
pub mod cores;
pub mod cpus;
mod disturbance;
mod environment;
mod gate;
pub mod interrupt;
pub mod limits;
#[cfg(feature = "locust")]
mod locust;
mod machine_speed;
mod master;
pub mod measure;
mod nearest;
pub mod network;
mod nothing;
pub mod output;
mod pass;
mod plan;
pub mod probe;
mod procedure;
mod processor_time;
mod progress;
mod quota;
mod responder;
mod runner;
mod sizing;
pub mod subject;
mod suite;
pub mod time;
mod toml_text;
mod wire;
