//! The page of a gate, with one file per section. A section is a function from the content of the
//! page to HTML. `document.rs` lists the sections in the order of the page.
//!
//! The page is one file in the style of the pages of runs: it contains its styles and charts, loads
//! nothing, and runs no scripts. It can be written again from the folder of a gate, and the same
//! gate gives the same bytes.

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
pub use document::write;
