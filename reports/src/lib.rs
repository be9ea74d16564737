//! Turns the record of a run into pages for a reader: record, metrics, statistics, SVG, HTML.
//!
//! The runner writes a run with [`RunWriter`] while it measures. The rest of this crate only reads
//! the record: [`load_run`] reads a run with its metrics, [`render_run`] writes the page of one
//! run, and [`render_index`] writes the page that lists all runs and shows the newest. The two
//! render functions never measure, and they write the same bytes for the same record.
//!
//! The code that draws is behind the feature `render`, so that the gate can be built without it.

#[cfg(feature = "render")]
pub mod chart;
mod error;
mod file;
pub mod format;
mod load;
pub mod metric;
#[cfg(feature = "render")]
mod page;
pub mod record;
#[cfg(feature = "render")]
mod render;
pub mod results;
pub mod statistics;
mod whole_file;
#[cfg(feature = "render")]
pub mod wire;

pub use error::Error;
pub use file::{PAGE_FILE, slug};
pub use load::{claim_of, load_run};
#[cfg(feature = "render")]
pub use page::document;
pub use record::RunWriter;
#[cfg(feature = "render")]
pub use render::{render_index, render_run};
pub use whole_file::WholeFile;

// The fixture is shared with the tests in `tests/`, which can refer to this crate only by its name.
#[cfg(test)]
extern crate self as c10k_reports;
#[cfg(test)]
#[path = "../tests/fixture/mod.rs"]
mod fixture;
