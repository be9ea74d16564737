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
    /// Name of the file in the folder of the gate.
    pub file: &'static str,
    /// Function that returns the text of the file.
    pub write: fn(&Gate) -> Result<String, Box<dyn Error + Send + Sync>>,
}

/// All formats of a gate's result.
pub const ALL: &[Format] = &[
    json::FORMAT,
    markdown::FORMAT,
    junit::FORMAT,
    github_action_benchmark::BIGGER_IS_BETTER,
    github_action_benchmark::SMALLER_IS_BETTER,
    bencher::FORMAT,
];

pub use json::FORMAT as JSON;
