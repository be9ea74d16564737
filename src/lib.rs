//! The parts of the command `c10k`, as a library so that benches and tests measure with the same
//! code.
//!
//! The parts that measure need epoll and `/proc` of Linux; on other systems there are only the
//! servers.

#[cfg(target_os = "linux")]
mod cgroup;
pub mod command;
#[cfg(target_os = "linux")]
pub mod cores;
#[cfg(target_os = "linux")]
pub mod cpus;
#[cfg(target_os = "linux")]
mod disturbance;
#[cfg(target_os = "linux")]
mod environment;
#[cfg(target_os = "linux")]
mod gate;
#[cfg(target_os = "linux")]
pub mod interrupt;
pub mod limits;
#[cfg(target_os = "linux")]
mod machine_speed;
#[cfg(target_os = "linux")]
pub mod measure;
#[cfg(target_os = "linux")]
mod nearest;
#[cfg(target_os = "linux")]
mod nothing;
pub mod output;
#[cfg(target_os = "linux")]
mod pass;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
pub mod probe;
#[cfg(target_os = "linux")]
mod procedure;
#[cfg(target_os = "linux")]
mod processor_time;
#[cfg(target_os = "linux")]
mod progress;
#[cfg(target_os = "linux")]
mod quota;
#[cfg(target_os = "linux")]
mod responder;
#[cfg(target_os = "linux")]
mod runner;
#[cfg(target_os = "linux")]
mod sizing;
#[cfg(target_os = "linux")]
pub mod subject;
#[cfg(target_os = "linux")]
mod suite;
pub mod time;
#[cfg(target_os = "linux")]
mod toml_text;
