//! Tests of many metrics at once, with a known probability of any false alarm among all of them.
//!
//! Without an effect, a block could as well have come out the other way round: base and candidate
//! are started in random order and their slices have a random first arm. Turning the signs of
//! whole blocks around, of all metrics and cells together, gives the distribution of the largest
//! statistic that chance alone makes, correlations included. A metric is told from chance by its
//! place in that distribution (Westfall and Young, "Resampling-Based Multiple Testing", 1993,
//! algorithm 4.1: step-down maxT). A correction that takes metrics as unrelated, such as
//! Bonferroni's, would lose power, since CPU time, throughput and latency of a cell go together.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::signed_rank::SignedRanks;

/// Blocks up to which all combinations of signs are tried.
const EXACT_BLOCKS: usize = 13;

/// Combinations of signs that are drawn where there are more. The standard error of a probability
/// of 1 % is then a twentieth of it at most.
const DRAWN: usize = 40_000;

/// Direction of an effect that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sided {
    /// Larger than the center only.
    Larger,
    /// Different from the center.
    Both,
}

impl Sided {
    fn of(self, statistic: f64) -> f64 {
        match self {
            Self::Larger => statistic,
            Self::Both => statistic.abs(),
        }
    }
}

/// Combinations of signs of blocks; the first one turns nothing around.
#[derive(Debug)]
pub struct SignFlips(Vec<Vec<bool>>);

impl SignFlips {
    /// All combinations for a few blocks, and a seeded draw of them for many.
    pub fn of(blocks: usize, seed: u64) -> Self {
        if blocks <= EXACT_BLOCKS {
            let signs = |number: usize| (0..blocks).map(|block| number >> block & 1 == 1).collect();
            return Self((0..1 << blocks).map(signs).collect());
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn = vec![vec![false; blocks]];
        drawn.extend((1..DRAWN).map(|_| (0..blocks).map(|_| random.random()).collect()));
        Self(drawn)
    }

    /// Probability, of each series, that chance alone makes any statistic as large as the series'
    /// among those that are not told from chance before it. A series holds one value per block.
    pub fn adjusted_p(&self, series: &[SignedRanks], sided: Sided) -> Vec<f64> {
        let observed: Vec<f64> = series.iter().map(|ranks| sided.of(ranks.statistic())).collect();
        let mut order: Vec<usize> = (0..series.len()).collect();
        order.sort_by(|&a, &b| observed[b].total_cmp(&observed[a]));
        let mut as_large = vec![0_usize; series.len()];
        for flipped in &self.0 {
            let mut largest = f64::NEG_INFINITY;
            for &place in order.iter().rev() {
                largest = largest.max(sided.of(series[place].statistic_flipped(flipped)));
                as_large[place] += usize::from(largest >= observed[place] - ROUNDING);
            }
        }
        self.monotonic(&order, &as_large)
    }

    /// The value that the largest statistic of all series exceeds with a probability of `level` at
    /// most, by chance alone; infinite where no statistic is so improbable.
    pub fn critical(&self, series: &[SignedRanks], sided: Sided, level: f64) -> f64 {
        let largest_of = |flipped: &Vec<bool>| {
            let statistics = series.iter().map(|ranks| sided.of(ranks.statistic_flipped(flipped)));
            statistics.fold(f64::NEG_INFINITY, f64::max)
        };
        let mut largest: Vec<f64> = self.0.iter().map(largest_of).collect();
        largest.sort_unstable_by(|a, b| b.total_cmp(a));
        let exceeding = (level * largest.len() as f64) as usize;
        if exceeding == 0 { f64::INFINITY } else { largest[exceeding.min(largest.len() - 1)] }
    }

    /// A series is not told from chance before one with a larger statistic is.
    fn monotonic(&self, order: &[usize], as_large: &[usize]) -> Vec<f64> {
        let mut adjusted = vec![1.0; as_large.len()];
        let mut largest = 0.0_f64;
        for &place in order {
            largest = largest.max(as_large[place] as f64 / self.0.len() as f64);
            adjusted[place] = largest;
        }
        adjusted
    }
}

/// Sums of the same ranks in another order differ by rounding.
const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks(values: &[f64]) -> SignedRanks {
        SignedRanks::about(0.0, values)
    }

    #[test]
    fn a_single_series_has_the_exact_probability_of_its_test() {
        let adjusted = SignFlips::of(9, 1)
            .adjusted_p(&[ranks(&crate::signed_rank::tests::HAMILTON.map(|value| -value))], Sided::Larger);
        // Hollander and Wolfe, 1999, example 3.1.
        assert!((adjusted[0] - 0.019_531_25).abs() < 1e-12, "{adjusted:?}");
    }

    #[test]
    fn copies_of_a_series_cost_nothing_and_unrelated_ones_do() {
        let same = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let other = [-1.0, 3.0, -2.0, 5.0, 4.0, -8.0, 7.0, -6.0];
        let flips = SignFlips::of(8, 1);
        let alone = flips.adjusted_p(&[ranks(&same)], Sided::Larger)[0];
        assert!((alone - 1.0 / 256.0).abs() < 1e-12);
        let copies = flips.adjusted_p(&[ranks(&same), ranks(&same), ranks(&same)], Sided::Larger);
        assert!(copies.iter().all(|p| (p - alone).abs() < 1e-12), "{copies:?}");
        let with_other = flips.adjusted_p(&[ranks(&other), ranks(&same)], Sided::Larger);
        assert!((with_other[1] - 2.0 / 256.0).abs() < 1e-12, "{with_other:?}");
    }

    #[test]
    fn both_directions_count_twice_and_zeros_are_no_effect() {
        let flips = SignFlips::of(8, 1);
        let all_below = flips.adjusted_p(&[ranks(&[-1.0; 8]), ranks(&[0.0; 8])], Sided::Both);
        assert!((all_below[0] - 2.0 / 256.0).abs() < 1e-12);
        assert!((all_below[1] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_drawn_probability_is_close_to_the_exact_one() {
        let values: Vec<f64> =
            (1..=14).map(|value| f64::from(value) * if value % 4 == 0 { -1.0 } else { 1.0 }).collect();
        let drawn = SignFlips::of(14, 7).adjusted_p(&[ranks(&values)], Sided::Larger)[0];
        let exact = (0..1_u32 << 14).filter(|signs| {
            let sum: i32 = (0..14).map(|bit| if signs >> bit & 1 == 1 { bit + 1 } else { -(bit + 1) }).sum();
            sum >= 105 - 2 * (4 + 8 + 12)
        });
        let exact = exact.count() as f64 / f64::from(1_u32 << 14);
        assert!((drawn - exact).abs() < 0.1 * exact, "{drawn} of {exact}");
    }

    #[test]
    fn a_critical_value_is_exceeded_as_rarely_as_its_level_says() {
        let series = [ranks(&[1.0, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0, 9.0, 10.0])];
        let flips = SignFlips::of(10, 1);
        let critical = flips.critical(&series, Sided::Larger, 0.05);
        let above = flips.0.iter().filter(|signs| series[0].statistic_flipped(signs) > critical).count();
        assert!(above as f64 <= 0.05 * 1024.0 && above > 20, "{above}");
    }
}
