//! Percentiles that a slice has too few requests for: read of several slices of one server together.
//!
//! A slice of 50 ms has some thousand requests, so that few or none lie beyond the 99.9th percentile.
//! Rejected: all slices of a block as one distribution. One disturbance then decides it, and blocks of
//! identical servers vary three times as much as with the middle of several percentiles.

use c10k_ci::block::{Arm, Slice};
use c10k_ci::margin::Margins;
use c10k_loadgen::measurement::Times;
use c10k_loadgen::summary::Percentiles;

use super::slice::rounded;

/// Slices of one server whose requests are taken together.
const SLICES: usize = 5;

/// A percentile that slices may lack.
struct Percentile {
    key: &'static str,
    quantile: f64,
    of: fn(&Percentiles) -> f64,
}

const PERCENTILES: &[Percentile] = &[
    Percentile { key: "latency_p99_us", quantile: 0.99, of: |times| times.p99 },
    Percentile { key: "latency_p999_us", quantile: 0.999, of: |times| times.p99_9 },
];

/// Replaces each percentile that some slice lacks, in all slices, by that of their group. Their
/// `latencies` stand in the order of the slices.
pub fn replace(slices: &mut [Slice], latencies: &[Times], margins: &Margins) {
    let has_margin = |percentile: &&Percentile| margins.iter().any(|(key, _)| key == percentile.key);
    for percentile in PERCENTILES.iter().filter(has_margin) {
        if !slices.iter().all(|slice| slice.metrics.contains_key(percentile.key)) {
            replace_one(percentile, slices, latencies);
        }
    }
}

fn replace_one(percentile: &Percentile, slices: &mut [Slice], latencies: &[Times]) {
    for arm in [Arm::Base, Arm::Candidate, Arm::Null] {
        let of_arm: Vec<usize> = (0..slices.len()).filter(|&place| slices[place].arm == arm).collect();
        for group in of_arm.chunks(SLICES) {
            let value = together(percentile, slices, latencies, group);
            for &place in group {
                set(&mut slices[place], percentile.key, value);
            }
        }
    }
}

/// The percentile of a group. Where requests failed there is none: their latencies are not known.
fn together(percentile: &Percentile, slices: &[Slice], latencies: &[Times], group: &[usize]) -> Option<f64> {
    if group.iter().any(|&place| slices[place].failed_share > 0.0) {
        return None;
    }
    let mut together = latencies[group[0]].clone();
    for &place in &group[1..] {
        together.add(&latencies[place]).ok()?;
    }
    let percentiles = Percentiles::of(&together);
    percentiles.supports(percentile.quantile).then(|| rounded((percentile.of)(&percentiles)))
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

    /// A thousand latencies of 1 ms, and `slow` of 9 ms.
    fn latencies(slow: u64) -> Times {
        let mut times = Times::new(3).unwrap();
        times.record_n(1_000_000, 1_000).unwrap();
        times.record_n(9_000_000, slow).unwrap();
        times
    }

    #[test]
    fn slices_of_one_server_have_the_percentile_of_their_group() {
        let mut slices: Vec<Slice> =
            (1..=10).flat_map(|pair| [slice(pair, Arm::Base), slice(pair, Arm::Candidate)]).collect();
        let slow = |slice: &Slice| if slice.arm == Arm::Candidate && slice.pair <= 5 { 100 } else { 0 };
        // Ten thousand requests in a group are enough, however few are in a slice.
        let times: Vec<Times> = slices
            .iter()
            .map(|slice| {
                let mut times = latencies(slow(slice));
                times.record_n(1_000_000, 2_000).unwrap();
                times
            })
            .collect();
        slices[19].failed_share = 0.1;
        replace(&mut slices, &times, &Margins::built_in());
        let of = |slice: &Slice| slice.metrics.get("latency_p999_us").map(|us| (us / 1_000.0).round());
        assert_eq!(of(&slices[0]), Some(1.0));
        assert!((0..5).all(|pair| of(&slices[2 * pair + 1]) == Some(9.0)), "{slices:?}");
        assert!((5..10).all(|pair| of(&slices[2 * pair]) == Some(1.0)), "{slices:?}");
        assert!((5..10).all(|pair| of(&slices[2 * pair + 1]).is_none()), "{slices:?}");
    }
}
