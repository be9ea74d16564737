//! Pages: each section has a file with a function that turns the input of a page into HTML;
//! `document.rs` lists the sections in the order of the page.
//!
//! A page is one file that contains its styles and charts. It loads no other file and contains no
//! script. `askama` fills in the templates, and escapes every text from a suite, a command or an
//! error.

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
