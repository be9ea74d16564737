//! What the benches have the generator send, and when its result counts.

use std::time::Duration;

use anyhow::{Result, ensure};
use c10k_loadgen::workload::{Lifetime, Pacing, Until};
use c10k_loadgen::{Measurement, Request, Workload};

/// An answer that takes so long has failed: nothing here is asked for anything slow.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A closed loop over persistent connections, all on one thread of the generator.
pub fn closed_loop(connections: usize, until: Until, warmup: Duration) -> Workload {
    Workload {
        pacing: Pacing::Closed,
        connections,
        lifetime: Lifetime::Persistent,
        until,
        warmup,
        timeout: TIMEOUT,
        threads: 1,
        request: Request::default(),
        idle: 0,
        connect_rate: None,
    }
}

/// Refuses a measurement in which a request failed, or a connection had no answer at all.
pub fn check(measured: &Measurement) -> Result<()> {
    let (errors, connections) = (measured.errors, measured.connections);
    let failed = [
        (errors.connect, "connect"),
        (errors.reset, "reset"),
        (errors.timeout, "timeout"),
        (errors.status, "status"),
        (errors.protocol, "protocol"),
    ];
    let failed: Vec<_> =
        failed.iter().filter(|(count, _)| *count > 0).map(|(n, kind)| format!("{n} {kind}")).collect();
    ensure!(failed.is_empty(), "requests failed: {}", failed.join(", "));
    ensure!(
        connections.served == connections.requested,
        "{} of {} connections were served",
        connections.served,
        connections.requested
    );
    Ok(())
}
