//! What the benches have the generator send, and when its result counts.

use std::time::Duration;

use anyhow::{Result, ensure};
use c10k_loadgen::workload::Until;
use c10k_loadgen::{Measurement, Workload};

/// An answer that takes so long has failed: nothing here is asked for anything slow.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A closed loop over persistent connections, all on one thread of the generator.
pub fn closed_loop(connections: usize, until: Until, warmup: Duration) -> Workload {
    Workload { connections, warmup, timeout: TIMEOUT, ..Workload::lasting(until) }
}

/// Refuses a measurement in which a request failed, or a connection had no answer at all.
pub fn check(measured: &Measurement) -> Result<()> {
    let Measurement { errors, connections, .. } = measured;
    ensure!(errors.total() == 0, "requests failed: {errors}");
    ensure!(
        connections.served == connections.requested,
        "{} of {} connections were served",
        connections.served,
        connections.requested
    );
    Ok(())
}
