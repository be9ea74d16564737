//! Reduces the slices of a block to one number: the Hodges–Lehmann estimate of the effects of its
//! pairs or, for failures, the mean difference.

use crate::block::{Arm, CellOfBlock, Slice};
use crate::hodges_lehmann;

/// Share of a block's pairs that must have a value. Otherwise a percentile could come only from the
/// fast slices, which have enough requests, and would look too good.
const PAIRS_NEEDED: f64 = 0.75;

/// Returns the logarithm of the ratio of `arm` to the base, for the metric with `key`. Values below
/// `floor` count as `floor`. `None` if too few pairs have a value.
pub fn log_ratio(cell: &CellOfBlock, arm: Arm, key: &str, floor: Option<f64>) -> Option<f64> {
    let value = |slice: &Slice| {
        let value = slice.metrics.get(key)?.max(floor.unwrap_or(0.0));
        Some(value).filter(|value| *value > 0.0)
    };
    estimate(cell, arm, |base, other| Some((value(other)? / value(base)?).ln()))
}

/// Returns the difference of the means of `arm` and the base, for any number that every slice has.
/// An estimate of the middle would not show failures that occur in only a few slices.
pub fn difference(cell: &CellOfBlock, arm: Arm, of: impl Fn(&Slice) -> f64) -> Option<f64> {
    let differences: Vec<f64> = cell.pairs(arm).map(|(base, other)| of(other) - of(base)).collect();
    if differences.is_empty() {
        None
    } else {
        Some(differences.iter().sum::<f64>() / differences.len() as f64)
    }
}

fn estimate(
    cell: &CellOfBlock,
    arm: Arm,
    effect: impl Fn(&Slice, &Slice) -> Option<f64>,
) -> Option<f64> {
    let mut pairs = 0;
    let mut effects = Vec::new();
    for (base, other) in cell.pairs(arm) {
        pairs += 1;
        effects.extend(effect(base, other));
    }
    let enough = effects.len() as f64 >= PAIRS_NEEDED * f64::from(pairs);
    if enough { hodges_lehmann::estimate(&effects) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(pairs: &[(Option<f64>, Option<f64>)]) -> CellOfBlock {
        let slice = |pair: usize, arm, value: Option<f64>| Slice {
            pair: pair as u32 + 1,
            arm,
            metrics: value.map(|value| ("throughput_rps".to_owned(), value)).into_iter().collect(),
            failed_share: value.unwrap_or(1.0),
            failed_checks: Vec::new(),
        };
        let both = |(pair, (base, other)): (usize, &(Option<f64>, Option<f64>))| {
            [slice(pair, Arm::Candidate, *other), slice(pair, Arm::Base, *base)]
        };
        let slices = pairs.iter().enumerate().flat_map(both).collect();
        CellOfBlock { workload: "w".to_owned(), slices }
    }

    #[test]
    fn a_drift_that_hits_both_alike_leaves_the_ratio() {
        let drifting = [100.0, 50.0, 20.0].map(|base| (Some(base), Some(1.1 * base)));
        let ratio = log_ratio(&cell(&drifting), Arm::Candidate, "throughput_rps", None).unwrap();
        assert!((ratio - 1.1_f64.ln()).abs() < 1e-12);
        assert_eq!(log_ratio(&cell(&drifting), Arm::Null, "throughput_rps", None), None);
    }

    #[test]
    fn a_metric_that_half_of_the_pairs_lack_has_no_value() {
        let pair = (Some(1.0), Some(1.0));
        assert!(
            log_ratio(
                &cell(&[pair, pair, pair, (None, Some(1.0))]),
                Arm::Candidate,
                "throughput_rps",
                None
            )
            .is_some()
        );
        assert_eq!(
            log_ratio(&cell(&[pair, (None, Some(1.0))]), Arm::Candidate, "throughput_rps", None),
            None
        );
    }

    #[test]
    fn a_change_from_none_to_some_is_a_ratio_if_there_is_a_floor() {
        let from_none = cell(&[(Some(0.0), Some(2.0))]);
        assert_eq!(log_ratio(&from_none, Arm::Candidate, "throughput_rps", None), None);
        let ratio = log_ratio(&from_none, Arm::Candidate, "throughput_rps", Some(0.5)).unwrap();
        assert!((ratio - 4.0_f64.ln()).abs() < 1e-12);
        let hardly = cell(&[(Some(0.0), Some(0.1))]);
        assert_eq!(log_ratio(&hardly, Arm::Candidate, "throughput_rps", Some(0.5)), Some(0.0));
    }

    #[test]
    fn differences_are_of_numbers_that_every_slice_has() {
        let failing = cell(&[(Some(0.0), Some(0.25)), (Some(0.0), Some(0.25))]);
        assert_eq!(difference(&failing, Arm::Candidate, |slice| slice.failed_share), Some(0.25));
    }
}
