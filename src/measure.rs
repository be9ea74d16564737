//! One run of the generator against a server that runs already, watched by the probes: what the
//! runner and the benches measure with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use c10k_loadgen::{Event, Interval, Measurement, Target, Workload};

use crate::probe::{Readings, Server, Watch};

/// Runs the generator, gives every interval of the measured part to `keep`, and has the probes look
/// at the server, where its process is known, when the measured part begins and ends. Setting `stop` ends it early.
///
/// # Errors
/// When the generator can't run, or `keep` fails. Requests that fail are counted in the
/// measurement, and a probe that fails is a reading that is missing.
pub fn measure(
    target: Target,
    load: Workload,
    server: Option<Server>,
    stop: Arc<AtomicBool>,
    mut keep: impl FnMut(&Interval) -> Result<()>,
) -> Result<(Measurement, Readings)> {
    let mut run = c10k_loadgen::start(target, load, stop).context("cannot start the generator")?;
    let mut watch = None;
    let mut readings = None;
    while let Some(event) = run.next_event() {
        match event {
            Event::Begun => watch = server.clone().map(Watch::begin),
            Event::Ended => readings = watch.take().map(Watch::end),
            Event::Interval(interval) => keep(&interval)?,
        }
    }
    let measured = run.finish()?;
    let readings = match (server, readings) {
        (None, _) => Readings::default(),
        (Some(_), readings) => readings.unwrap_or_else(|| Readings::none("the measured part did not begin")),
    };
    Ok((measured, readings))
}
