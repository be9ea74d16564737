//! Reads a run for use: its record, with the metrics that its lines lack.

use std::path::Path;

use crate::error::Error;
use crate::metric;
use crate::record::Run;

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
