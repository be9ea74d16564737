//! Percentiles for which slices have too few requests: they are computed from several slices of one
//! server together.
//!
//! A slice of 50 ms has some thousand requests, so that few or none lie beyond the 99.9th
//! percentile. The rehearsal decides once which percentiles of a workload are computed in this way:
//! otherwise that would depend on how fast a server happens to be in a block.
//!
//! Rejected: all slices of a block as one distribution. Then a single disturbance can determine the
//! percentile, and blocks of identical servers vary three times as much as with the middle value of
//! several percentiles.

use c10k_ci::block::{Arm, Slice};
use c10k_loadgen::bound::LowerBounds;
use c10k_loadgen::measurement::Times;
use c10k_loadgen::percentile::known_to;
use c10k_loadgen::summary::Percentiles;

/// Number of slices of one server whose requests are taken together.
const SLICES: usize = 5;

/// A percentile that slices may lack.
#[derive(Debug)]
pub struct Percentile {
    /// Key of the metric.
    pub key: &'static str,
    quantile: f64,
    of: fn(&Percentiles) -> f64,
}

/// All percentiles that slices may lack.
pub const PERCENTILES: &[Percentile] = &[
    Percentile { key: "latency_p99_us", quantile: 0.99, of: |times| times.p99 },
    Percentile { key: "latency_p999_us", quantile: 0.999, of: |times| times.p99_9 },
];

/// Latencies of a slice.
#[derive(Debug, Clone)]
pub struct Latencies {
    pub latency: Times,
    /// Ages of requests without a response, which `latency` includes.
    pub unanswered: Times,
    /// Number of requests that failed, so that their latency is not known.
    pub failed: u64,
}

/// Replaces a percentile of each slice by the percentile of its group of slices. The `latencies`
/// are in the order of the slices.
pub fn replace(percentile: &Percentile, slices: &mut [Slice], latencies: &[Latencies]) {
    for arm in [Arm::Base, Arm::Candidate, Arm::Null] {
        let of_arm: Vec<usize> =
            (0..slices.len()).filter(|&place| slices[place].arm == arm).collect();
        for group in of_arm.chunks(SLICES) {
            let together = together(group.iter().map(|&place| &latencies[place]));
            let value = together.and_then(|times| percentile.value(&times));
            for &place in group {
                set(&mut slices[place], percentile.key, value);
            }
        }
    }
}

impl Percentile {
    /// Returns the value; `None` if there are too few requests, or if it is only a lower bound.
    fn value(&self, times: &Percentiles) -> Option<f64> {
        let is_known = times.supports(self.quantile) && !times.is_bound(self.quantile);
        is_known.then(|| (self.of)(times))
    }
}

/// Returns the percentiles of a group of slices.
fn together<'a>(mut group: impl Iterator<Item = &'a Latencies>) -> Option<Percentiles> {
    let mut all = group.next()?.clone();
    for other in group {
        all.latency.add(&other.latency).ok()?;
        all.unanswered.add(&other.unanswered).ok()?;
        all.failed += other.failed;
    }
    let percentiles = Percentiles::of(&all.latency);
    Some(Percentiles {
        lower_bounds: LowerBounds::of(&all.latency, &all.unanswered),
        known_to: known_to(all.failed, percentiles.count),
        ..percentiles
    })
}

fn set(slice: &mut Slice, key: &str, value: Option<f64>) {
    match value {
        Some(value) => _ = slice.metrics.insert(key.to_owned(), value),
        None => _ = slice.metrics.remove(key),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn slice(pair: u32, arm: Arm) -> Slice {
        Slice { pair, arm, metrics: BTreeMap::new(), failed_share: 0.0, failed_checks: Vec::new() }
    }

    fn times() -> Times {
        Times::new(3).unwrap()
    }

    /// Returns three thousand latencies of 1 ms, and `slow` of 9 ms.
    fn latencies(slow: u64) -> Latencies {
        let mut latency = times();
        latency.record_n(1_000_000, 3_000).unwrap();
        latency.record_n(9_000_000, slow).unwrap();
        Latencies { latency, unanswered: times(), failed: 0 }
    }

    /// Returns the 99.9th percentiles of base and candidate by pairs, in milliseconds.
    fn percentiles(of: impl Fn(&Slice) -> Latencies) -> Vec<[Option<f64>; 2]> {
        let mut slices: Vec<Slice> = (1..=10)
            .flat_map(|pair| [slice(pair, Arm::Base), slice(pair, Arm::Candidate)])
            .collect();
        let latencies: Vec<Latencies> = slices.iter().map(of).collect();
        replace(&PERCENTILES[1], &mut slices, &latencies);
        let value =
            |slice: &Slice| slice.metrics.get("latency_p999_us").map(|us| (us / 1_000.0).round());
        slices.chunks(2).map(|pair| [value(&pair[0]), value(&pair[1])]).collect()
    }

    #[test]
    fn slices_of_one_server_have_the_percentile_of_their_group() {
        let slow = |slice: &Slice| u64::from(slice.arm == Arm::Candidate && slice.pair <= 5) * 100;
        let found = percentiles(|slice| latencies(slow(slice)));
        assert!(found[..5].iter().all(|pair| *pair == [Some(1.0), Some(9.0)]), "{found:?}");
        assert!(found[5..].iter().all(|pair| *pair == [Some(1.0), Some(1.0)]), "{found:?}");
    }

    #[test]
    fn a_percentile_that_failures_or_ages_decide_is_none() {
        let failing = |slice: &Slice| Latencies { failed: 50, ..latencies(u64::from(slice.pair)) };
        assert!(percentiles(failing).iter().all(|pair| *pair == [None, None]));
        let one_failed =
            |slice: &Slice| Latencies { failed: u64::from(slice.pair == 1), ..latencies(0) };
        assert!(percentiles(one_failed).iter().all(|pair| *pair == [Some(1.0), Some(1.0)]));
        let aged = |_: &Slice| {
            let mut aged = latencies(100);
            aged.unanswered.record_n(9_000_000, 100).unwrap();
            aged
        };
        assert!(percentiles(aged).iter().all(|pair| *pair == [None, None]));
    }
}
