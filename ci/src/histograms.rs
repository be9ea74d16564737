//! Histograms of a gate: a log for each workload and server, kept beside the blocks. Each log has
//! one interval per block, in the format that every reader of `HdrHistogram` logs knows.
//!
//! The blocks hold only a few percentiles. The histograms show where in the distribution a
//! candidate became slower.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use c10k_loadgen::measurement::Times;
use c10k_loadgen::{HdrLog, Interval, Recorder};
use c10k_reports::results::read_log;
use c10k_reports::slug;

use crate::block::Arm;
use crate::plan::Plan;

/// Tag of the distribution that is read: the one whose percentiles have margins.
const TAG: &str = "latency";

/// Latencies by block number, in nanoseconds.
pub type ByBlock = BTreeMap<u32, Times>;

/// Writer of the logs of a gate while it is measured.
pub struct Writer {
    folder: PathBuf,
    logs: BTreeMap<PathBuf, HdrLog>,
}

impl Writer {
    /// Creates a writer of logs in `folder`, which replace the logs of an earlier gate.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), logs: BTreeMap::new() }
    }

    /// Appends the measurements of all slices of `arm` in a block. The slices have a total length
    /// of `length`.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn append(
        &mut self,
        (workload, arm): (&str, Arm),
        block: u32,
        length: Duration,
        seen: Recorder,
    ) -> io::Result<()> {
        let log = match self.logs.entry(self.folder.join(file_name(workload, arm))) {
            Entry::Occupied(log) => log.into_mut(),
            Entry::Vacant(place) => {
                let log = HdrLog::create(place.key())?;
                place.insert(log)
            }
        };
        // The clock of a log runs only while its server is measured, so that the time of an
        // interval gives the block number.
        let before = block.saturating_sub(1);
        log.append(&Interval {
            number: before.into(),
            begin: length * before,
            length,
            seen: Box::new(seen),
        })
    }
}

/// Reads the latencies of `arm` from a gate's folder.
///
/// # Errors
/// When the log is missing or damaged.
pub fn read(
    folder: &Path,
    plan: &Plan,
    workload: &str,
    arm: Arm,
) -> Result<ByBlock, c10k_reports::Error> {
    let length_s = f64::from(plan.pairs) * plan.slice_s;
    let lines = read_log(&folder.join(file_name(workload, arm)))?;
    let latencies = lines.into_iter().filter(|line| line.tag == TAG);
    let block = |begin: Duration| (begin.as_secs_f64() / length_s).round() as u32 + 1;
    Ok(latencies.map(|line| (block(line.begin), line.times)).collect())
}

/// Returns the name of a log in the folder of a gate.
fn file_name(workload: &str, arm: Arm) -> String {
    format!("{}-{}.hlog", slug(workload), arm.name())
}
