//! Common part of the passes that count: the counts of N requests are subtracted from those of
//! twice as many.
//!
//! Work that a server does once, at its start, at its end or for a persistent connection, is the
//! same in both runs. So the difference is the cost of the further requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use c10k_loadgen::Workload;
use c10k_loadgen::workload::{Lifetime, Pacing, Until};

use super::definition::Bench;
use crate::measure::measure;
use crate::subject::RunningSubject;

/// Requests of the shorter run, over several persistent connections.
const REQUESTS: u64 = 20_000;

/// Requests of the shorter run if each request is costly: over one connection the server wakes up
/// for each of them, and a short connection may cost a process.
const REQUESTS_COSTLY: u64 = 1_000;

/// Longest time of one run. strace takes some 30 µs for a call, and a request has a few of them;
/// valgrind takes some 10 ms for a process, and a request may start one.
const RUN_TIME: Duration = Duration::from_mins(1);

/// Counts by name.
pub type Counts = BTreeMap<String, u64>;

/// Returns counts per further request, by name. `count` runs the server with the number of requests
/// that it is given.
pub fn per_request(
    bench: &Bench<'_>,
    count: impl Fn(&Bench<'_>, u64) -> Result<Counts>,
) -> Result<BTreeMap<String, f64>> {
    let is_costly = bench.workload.connections == 1 || bench.workload.lifetime == Lifetime::SHORT;
    let requests = if is_costly { REQUESTS_COSTLY } else { REQUESTS };
    let few = count(bench, requests)?;
    let many = count(bench, 2 * requests)?;
    Ok(difference(&few, &many, requests))
}

fn difference(few: &Counts, many: &Counts, requests: u64) -> BTreeMap<String, f64> {
    let further = |(name, &many): (&String, &u64)| {
        let count = many as f64 - few.get(name).copied().unwrap_or(0) as f64;
        (name.clone(), count / requests as f64)
    };
    many.iter().map(further).collect()
}

/// Sends exactly this number of requests, as fast as responses come, over the connections of the
/// workload without its idle and slow ones.
pub fn drive(bench: &Bench<'_>, running: &RunningSubject, requests: u64) -> Result<()> {
    let begin = Instant::now();
    let in_time = |_: &_| {
        ensure!(
            begin.elapsed() < RUN_TIME,
            "{requests} requests took longer than {RUN_TIME:?} in this pass"
        );
        Ok(())
    };
    let target = bench.target(running.address())?;
    let (measured, _) = measure(
        target,
        saturating(bench.workload, requests),
        None,
        bench.interrupt.flag(),
        in_time,
    )?;
    ensure!(!bench.interrupt.happened(), "interrupted");
    let completed = measured.requests.completed;
    ensure!(completed == requests, "{completed} of {requests} requests were answered in this pass");
    Ok(())
}

/// Returns a closed loop of this number of requests, which all count. Counting makes a response
/// slow, so a response may take as long as the whole run.
fn saturating(workload: &Workload, requests: u64) -> Workload {
    Workload {
        pacing: Pacing::Closed,
        until: Until::Requests(requests),
        warmup: Duration::ZERO,
        timeout: workload.timeout.max(RUN_TIME),
        idle: 0,
        slow: 0,
        connect_rate: None,
        ..workload.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_is_done_once_cancels_out() {
        let counts = |pairs: &[(&str, u64)]| -> Counts {
            pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let few = counts(&[("sendto", 1000), ("mmap", 50)]);
        let many = counts(&[("sendto", 2000), ("mmap", 50), ("recvfrom", 1500)]);
        let expected = [("mmap", 0.0), ("recvfrom", 1.5), ("sendto", 1.0)];
        let expected: BTreeMap<String, f64> =
            expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(difference(&few, &many, 1000), expected);
    }
}
