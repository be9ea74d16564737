//! Reads a run for use: its record, completed with the metrics that its lines lack.

use std::path::Path;

use crate::error::Error;
use crate::metric;
use crate::record::Run;
use crate::results::{Results, judge_claim};

/// Reads the run in `run_dir`. A line lacks a metric that did not exist when the line was written;
/// such a metric is computed from the rest of the line. A value that was written stays.
///
/// # Errors
///
/// Returns an error if the run cannot be read or is of an unknown version.
pub fn load_run(run_dir: &Path) -> Result<Run, Error> {
    let mut run = Run::load(run_dir)?;
    for record in &mut run.records {
        for (key, value) in metric::compute(record) {
            record.metrics.entry(key).or_insert(value);
        }
    }
    Ok(run)
}

/// Judges the claim that the run in `run_dir` tests, and returns the finding as lines for a
/// terminal; `None` if the run tests no claim.
///
/// # Errors
///
/// Returns an error in the same cases as [`load_run`].
pub fn claim_of(run_dir: &Path) -> Result<Option<String>, Error> {
    let results = Results::without_histograms(load_run(run_dir)?);
    Ok(judge_claim(&results).map(|judged| judged.to_string()))
}
