//! Histograms of a gate: beside its blocks, a log for each workload and server in the format that every
//! reader of `HdrHistogram` logs knows, with one interval per block.
//!
//! The blocks have a few percentiles only. Where in the distribution a candidate became slower is
//! read off these.

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

/// Distribution that is read: the one whose percentiles have margins.
const TAG: &str = "latency";

/// Latencies by number of the block, in nanoseconds.
pub type ByBlock = BTreeMap<u32, Times>;

/// Logs of a gate that is measured.
pub struct Writer {
    folder: PathBuf,
    logs: BTreeMap<PathBuf, HdrLog>,
}

impl Writer {
    /// Logs in `folder`, which replace those of an earlier gate.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), logs: BTreeMap::new() }
    }

    /// Appends what the slices of `arm` saw in a block, which are `length` long in all.
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
        // The time of a log runs while its server is measured, so that it tells the block.
        let before = block.saturating_sub(1);
        log.append(&Interval { number: before.into(), begin: length * before, length, seen: Box::new(seen) })
    }
}

/// Reads the latencies of `arm` from a gate's folder.
///
/// # Errors
/// When the log is missing or damaged.
pub fn read(folder: &Path, plan: &Plan, workload: &str, arm: Arm) -> Result<ByBlock, c10k_reports::Error> {
    let length_s = f64::from(plan.pairs) * plan.slice_s;
    let lines = read_log(&folder.join(file_name(workload, arm)))?;
    let latencies = lines.into_iter().filter(|line| line.tag == TAG);
    let block = |begin: Duration| (begin.as_secs_f64() / length_s).round() as u32 + 1;
    Ok(latencies.map(|line| (block(line.begin), line.times)).collect())
}

/// Name of a log in the folder of a gate.
fn file_name(workload: &str, arm: Arm) -> String {
    format!("{}-{}.hlog", slug(workload), arm.name())
}
