//! Pages: one file per section, each a function from what a page shows to HTML; `document.rs` lists
//! them in the order of the page.
//!
//! A page is one file: styles and charts are within it, it loads nothing, and it holds nothing that
//! runs. Templates are filled in by `askama`, which escapes whatever a suite, a command or an error
//! may contain.

mod caution;
mod checks;
mod claim;
mod context;
mod document;
mod index;
mod instrument;
mod machine;
mod missing;
mod more;
mod number;
mod questions;
mod summary;
mod title;
mod what_was_run;
mod workloads;

pub use context::Place;
pub use document::{document, run_page};
pub use index::{Listed, index_page};
