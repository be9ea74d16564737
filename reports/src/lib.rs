//! From the record of a run to pages that a person reads: record, statistics, SVG, HTML.
//!
//! The runner writes a run with [`RunWriter`] as it measures. Everything else here only reads: [`render_run`] writes the
//! page of one run, [`render_index`] the page that lists all runs and shows the newest. Neither ever measures, and both
//! write the same bytes for the same record.

mod chart;
mod error;
mod file;
mod format;
mod histogram_log;
mod page;
pub mod record;
mod render;
mod results;
mod statistics;

pub use error::Error;
pub use record::RunWriter;
pub use render::{render_index, render_run};
pub use statistics::spread::{Spread, describe_interval};

// The fixture is shared with the tests in `tests/`, which know this crate by its name only.
#[cfg(test)]
extern crate self as c10k_reports;
#[cfg(test)]
#[path = "../tests/fixture/mod.rs"]
mod fixture;
