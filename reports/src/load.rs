//! Reads a run for use: its record, with the metrics that its lines lack.

use std::path::Path;

use crate::error::Error;
use crate::metric;
use crate::record::Run;
use crate::results::{Results, judge_claim};

/// Reads the run in `run_dir`. A metric that a line lacks, because it did not exist when the line was
/// written, is computed from the rest of the line; a value that was written stays.
///
/// # Errors
///
/// Where the run cannot be read or is of an unknown version.
pub fn load_run(run_dir: &Path) -> Result<Run, Error> {
    let mut run = Run::load(run_dir)?;
    for record in &mut run.records {
        for (key, value) in metric::compute(record) {
            record.metrics.entry(key).or_insert(value);
        }
    }
    Ok(run)
}

/// What the run in `run_dir` says of the claim that it tests, in lines for a terminal; none where it tests
/// none.
///
/// # Errors
///
/// As [`load_run`].
pub fn claim_of(run_dir: &Path) -> Result<Option<String>, Error> {
    let results = Results::without_histograms(load_run(run_dir)?);
    Ok(judge_claim(&results).map(|judged| judged.to_string()))
}
