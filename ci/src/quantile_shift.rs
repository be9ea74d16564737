//! Quantile shift: by how much each percentile of the latencies moved from the base to another
//! server (Doksum, "Empirical Probability Plots and Statistical Inference for Nonlinear Models in
//! the Two-Sample Case", 1974, calls it the shift function). It shows where in the distribution a
//! candidate became slower, and judges nothing.

use c10k_loadgen::measurement::Times;
use c10k_loadgen::percentile::last_known;

use crate::histograms::ByBlock;
use crate::hodges_lehmann;
use crate::signed_rank::interval;
use crate::verdict::CONFIDENCE;

/// The shift of one quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// The quantile (0 to 1).
    pub quantile: f64,
    /// Logarithm of the ratio to the base: the Hodges–Lehmann estimate over blocks.
    pub log_ratio: f64,
    /// Interval of the shift at [`CONFIDENCE`]; `None` with too few blocks.
    pub interval: Option<(f64, f64)>,
}

/// Returns the shifts of `quantiles` (0 to 1), and ends before the first quantile for which a block
/// has too few requests: from there on, only the fast blocks have enough. No failed request can lie
/// below the quantile `known_to`.
pub fn of(
    base: &ByBlock,
    other: &ByBlock,
    known_to: Option<f64>,
    quantiles: impl Iterator<Item = f64>,
) -> Vec<Shift> {
    let blocks: Vec<(&Times, &Times)> =
        base.iter().filter_map(|(block, times)| Some((times, other.get(block)?))).collect();
    quantiles.map_while(|quantile| shift(&blocks, known_to, quantile)).collect()
}

fn shift(blocks: &[(&Times, &Times)], known_to: Option<f64>, quantile: f64) -> Option<Shift> {
    let value = |times: &Times| {
        let is_known = quantile <= last_known(times.len(), known_to);
        is_known.then(|| times.value_at_quantile(quantile).max(1) as f64)
    };
    let log_ratios: Option<Vec<f64>> =
        blocks.iter().map(|(base, other)| Some((value(other)? / value(base)?).ln())).collect();
    let log_ratios = log_ratios?;
    let log_ratio = hodges_lehmann::estimate(&log_ratios)?;
    Some(Shift { quantile, log_ratio, interval: interval(&log_ratios, CONFIDENCE) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns blocks of a thousand latencies from 1 µs on. Latencies above the 90th percentile are
    /// `tail` times as long.
    fn blocks(tail: f64) -> ByBlock {
        let times = |block: u32| {
            let mut times = c10k_loadgen::empty_times();
            for rank in 0..1_000_u32 {
                let ns = f64::from(1_000 + rank + block) * if rank >= 900 { tail } else { 1.0 };
                times.record(ns as u64).unwrap();
            }
            times
        };
        (1..=8).map(|block| (block, times(block))).collect()
    }

    #[test]
    fn a_slower_tail_moves_the_tail_alone() {
        let shifts = of(&blocks(1.0), &blocks(2.0), None, [0.5, 0.85, 0.95, 0.99].into_iter());
        let moved: Vec<f64> = shifts.iter().map(|shift| shift.log_ratio.exp()).collect();
        for (moved, expected) in moved.iter().zip([1.0, 1.0, 2.0, 2.0]) {
            assert!((moved - expected).abs() < 0.01, "{moved} and not {expected}");
        }
        let (low, high) = shifts[3].interval.unwrap();
        assert!(low <= shifts[3].log_ratio && shifts[3].log_ratio <= high);
    }

    #[test]
    fn it_ends_with_the_samples_and_the_responses() {
        let quantiles = || [0.5, 0.95, 0.995].into_iter();
        assert_eq!(of(&blocks(1.0), &blocks(1.0), None, quantiles()).len(), 2);
        assert_eq!(of(&blocks(1.0), &blocks(1.0), Some(0.9), quantiles()).len(), 1);
        assert_eq!(of(&ByBlock::new(), &blocks(1.0), None, quantiles()), []);
    }
}
