//! The page of a gate: one file per section, each a function from what the page shows to HTML;
//! `document.rs` lists them in the order of the page.
//!
//! The page is one file in the look of the pages of runs: styles and charts are within it, it loads
//! nothing, and nothing in it runs. It is written again from the folder of a gate, and the same gate
//! gives the same bytes.

mod change;
mod chart;
mod compared;
mod context;
mod document;
mod failures;
mod latencies;
mod raw;
mod repeat;
mod sensitivity;
mod verdict;
mod words;
mod workloads;

pub use context::reports_dir;
pub use document::{PAGE_FILE, write};
