//! One run of the generator against a server that runs already, and what that server used meanwhile: what the runner and
//! the benches measure with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use c10k_loadgen::{Event, Interval, Measurement, Target, Workload};
use c10k_reports::record::ServerUsage;

use crate::resources::{self, CpuTime};

/// Runs the generator, gives every second of the measured part to `keep`, and looks at the resources of the server's
/// process `pid` and its descendants where the measured part begins and ends. Setting `stop` ends it early.
///
/// # Errors
/// When the generator can't run, or `keep` fails. Requests that fail are counted in the measurement; usage is missing when
/// the server's process is.
pub fn measure(
    target: Target,
    load: Workload,
    pid: u32,
    stop: Arc<AtomicBool>,
    mut keep: impl FnMut(&Interval) -> Result<()>,
) -> Result<(Measurement, Option<ServerUsage>)> {
    let mut run = c10k_loadgen::start(target, load, stop).context("cannot start the generator")?;
    let (mut begin, mut usage) = (None, None);
    while let Some(event) = run.next_event() {
        match event {
            Event::Begun => begin = CpuTime::of_tree(pid),
            Event::Ended => {
                let both = begin.zip(CpuTime::of_tree(pid));
                usage = both.map(|(begin, end)| resources::usage(pid, &begin, &end));
            }
            Event::Interval(interval) => keep(&interval)?,
        }
    }
    Ok((run.finish()?, usage))
}
