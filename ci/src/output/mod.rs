//! Formats of a gate's result: one format, one file, and one line in [`ALL`].

mod bencher;
mod format;
mod github_action_benchmark;
pub(crate) mod json;
mod junit;
mod markdown;
pub mod text;

pub use format::Format;
pub use json::FORMAT as JSON;

/// All formats of a gate's result.
pub const ALL: &[Format] = &[
    json::FORMAT,
    markdown::FORMAT,
    junit::FORMAT,
    github_action_benchmark::BIGGER_IS_BETTER,
    github_action_benchmark::SMALLER_IS_BETTER,
    bencher::FORMAT,
];
