//! Formats of a gate's result: one format, one file, and one line in [`ALL`].

mod bencher;
mod github_action_benchmark;
pub(crate) mod json;
mod junit;
mod markdown;
pub mod text;

use std::error::Error;

use crate::gate::Gate;

/// A file that a gate writes.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Its name in the folder of the gate.
    pub file: &'static str,
    /// Its text.
    pub write: fn(&Gate) -> Result<String, Box<dyn Error + Send + Sync>>,
}

/// All of them.
pub const ALL: &[Format] = &[
    json::FORMAT,
    markdown::FORMAT,
    junit::FORMAT,
    github_action_benchmark::BIGGER_IS_BETTER,
    github_action_benchmark::SMALLER_IS_BETTER,
    bencher::FORMAT,
];

pub use json::FORMAT as JSON;
