//! Tests of many metrics at once, with a known probability of any false alarm among all of them.
//!
//! Without an effect, a block could equally well have had the opposite result: base and candidate
//! are started in random order, and the first arm of their slices is random. Inverting the signs of
//! whole blocks, for all metrics and cells together, gives the distribution of the largest
//! statistic that chance alone makes, including correlations. The place of a metric in that
//! distribution tells it from chance (Westfall and Young, "Resampling-Based Multiple Testing",
//! 1993, algorithm 4.1: step-down maxT). A correction that treats metrics as unrelated, such as
//! Bonferroni's, would lose power, because CPU time, throughput and latency of a cell change
//! together.

use std::array;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::signed_rank::SignedRanks;

/// Largest number of blocks for which all combinations of signs are tried.
const EXACT_BLOCKS: usize = 13;

/// Number of combinations of signs that are drawn if there are more blocks. The standard error of a
/// probability of 1 % is then at most a twentieth of it.
const DRAWN: usize = 40_000;

/// Number of blocks whose signs are stored in one byte.
const BLOCKS_OF_A_BYTE: usize = 8;

/// Tolerance for rounding: sums of the same ranks differ a little if they are added in another
/// order.
const ROUNDING: f64 = 1e-9;

/// Direction of the effect that a test looks for.
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

/// Combinations of signs of blocks. Each block has a bit, and a set bit inverts its sign. The first
/// combination inverts no sign.
#[derive(Debug)]
pub struct SignFlips {
    bytes: Vec<u8>,
    bytes_of_each: usize,
}

/// Result of a test of many series.
#[derive(Debug)]
pub struct Tested {
    /// Adjusted probability of each series: the probability that chance alone makes a statistic as
    /// large as that of the series, among all series that are not told from chance before it.
    pub adjusted_p: Vec<f64>,
    /// Largest statistic of all series in each combination.
    largest: Vec<f64>,
}

impl SignFlips {
    /// Creates all combinations for a few blocks, and a seeded random draw of them for many. The
    /// draw includes the observed combination, because a probability could be zero without it
    /// (Phipson and Smyth, "Permutation P-values Should Never Be Zero", 2010).
    pub fn of(blocks: usize, seed: u64) -> Self {
        let bytes_of_each = blocks.div_ceil(BLOCKS_OF_A_BYTE).max(1);
        let bytes = if blocks <= EXACT_BLOCKS {
            let all = 0..1_u16 << blocks;
            all.flat_map(|signs| signs.to_le_bytes().into_iter().take(bytes_of_each)).collect()
        } else {
            let mut drawn = vec![0; bytes_of_each * DRAWN];
            ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut drawn[bytes_of_each..]);
            drawn
        };
        Self { bytes, bytes_of_each }
    }

    /// Tests all `series` together. Each holds one value per block, in the order of the blocks.
    pub fn test(&self, series: &[SignedRanks], sided: Sided) -> Tested {
        let observed: Vec<f64> = series.iter().map(|ranks| sided.of(ranks.statistic())).collect();
        let mut order: Vec<usize> = (0..series.len()).collect();
        order.sort_by(|&a, &b| observed[b].total_cmp(&observed[a]));
        let sums: Vec<Sums> = series.iter().map(Sums::of).collect();
        let mut as_large = vec![0_usize; series.len()];
        let combinations = self.bytes.chunks_exact(self.bytes_of_each);
        let largest = combinations.map(|flipped| {
            let mut largest = f64::NEG_INFINITY;
            for &place in order.iter().rev() {
                largest = largest.max(sided.of(sums[place].statistic(flipped)));
                as_large[place] += usize::from(largest >= observed[place] - ROUNDING);
            }
            largest
        });
        let largest: Vec<f64> = largest.collect();
        Tested { adjusted_p: adjusted(&order, &as_large, largest.len()), largest }
    }
}

/// Returns the adjusted probabilities: shares of combinations, raised so that no series is told
/// from chance before a series with a larger statistic.
fn adjusted(order: &[usize], as_large: &[usize], combinations: usize) -> Vec<f64> {
    let mut adjusted = vec![1.0; as_large.len()];
    let mut largest = 0.0_f64;
    for &place in order {
        largest = largest.max(as_large[place] as f64 / combinations as f64);
        adjusted[place] = largest;
    }
    adjusted
}

impl Tested {
    /// Returns the value that the largest statistic of all series exceeds by chance alone with a
    /// probability of at most `level`. It is infinite if no statistic is so improbable. A series
    /// with a statistic above this value has an adjusted probability of at most `level`, no matter
    /// what the statistics of the other series are.
    pub fn critical(mut self, level: f64) -> f64 {
        let exceeding = (level * self.largest.len() as f64) as usize;
        if exceeding == 0 {
            return f64::INFINITY;
        }
        let place = exceeding.min(self.largest.len() - 1);
        let (_, critical, _) = self.largest.select_nth_unstable_by(place, |a, b| b.total_cmp(a));
        *critical + ROUNDING
    }
}

/// Sums of the signed ranks of a series, for all signs of each group of eight blocks. Adding single
/// ranks in 40,000 combinations would take most of the time of a verdict.
struct Sums<'a> {
    ranks: &'a SignedRanks,
    tables: Vec<[f64; 1 << BLOCKS_OF_A_BYTE]>,
}

impl<'a> Sums<'a> {
    fn of(ranks: &'a SignedRanks) -> Self {
        let table = |ranks: &[f64]| {
            array::from_fn(|flipped| {
                let turned = |(bit, rank): (usize, &f64)| {
                    if flipped >> bit & 1 == 1 { -rank } else { *rank }
                };
                ranks.iter().enumerate().map(turned).sum()
            })
        };
        Self { ranks, tables: ranks.signed().chunks(BLOCKS_OF_A_BYTE).map(table).collect() }
    }

    fn statistic(&self, flipped: &[u8]) -> f64 {
        let sums = self.tables.iter().zip(flipped);
        self.ranks.standardised(sums.map(|(table, &signs)| table[usize::from(signs)]).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks(values: &[f64]) -> SignedRanks {
        SignedRanks::about(0.0, values)
    }

    fn adjusted_p(flips: &SignFlips, series: &[SignedRanks], sided: Sided) -> Vec<f64> {
        flips.test(series, sided).adjusted_p
    }

    #[test]
    fn one_series_has_its_exact_probability() {
        // Nine patients: P(T+ ≤ 5) = 10 of 512 (Hollander and Wolfe, 1999, example 3.1).
        let worse: Vec<f64> =
            crate::signed_rank::tests::HAMILTON.iter().map(|value| -value).collect();
        let p = adjusted_p(&SignFlips::of(9, 1), &[ranks(&worse)], Sided::Larger);
        assert!((p[0] - 10.0 / 512.0).abs() < 1e-12, "{p:?}");
    }

    #[test]
    fn a_copy_of_a_series_costs_nothing_and_an_unrelated_one_does() {
        let flips = SignFlips::of(10, 1);
        let series = ranks(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
        let unrelated = ranks(&[-5.0, 1.0, 9.0, -2.0, 7.0, -3.0, 8.0, 4.0, -6.0, 10.0]);
        let alone = adjusted_p(&flips, std::slice::from_ref(&series), Sided::Larger)[0];
        let with_copy = adjusted_p(&flips, &[series.clone(), series.clone()], Sided::Larger)[0];
        let with_other = adjusted_p(&flips, &[series, unrelated], Sided::Larger)[0];
        assert!((alone - 1.0 / 1024.0).abs() < 1e-12);
        assert!((with_copy - alone).abs() < 1e-12);
        assert!(with_other > alone);
    }

    /// Compares the tables and the running maximum with the definition, combination by combination.
    #[test]
    fn step_down_probabilities_are_those_of_the_definition() {
        let values = [
            [9.0, 8.0, 7.0, 6.0, -1.0, 5.0, 4.0, 3.0, 2.0, 10.0],
            [1.0, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
            [-3.0, 2.0, -9.0, 4.0, 1.0, -6.0, 7.0, -8.0, 5.0, 0.0],
        ];
        let series: Vec<SignedRanks> = values.iter().map(|values| ranks(values)).collect();
        let turned = |values: &[f64; 10], signs: u32| {
            let turned = |(place, value): (usize, &f64)| {
                if signs >> place & 1 == 1 { -value } else { *value }
            };
            ranks(&values.iter().enumerate().map(turned).collect::<Vec<_>>()).statistic()
        };
        let statistics: Vec<f64> = series.iter().map(SignedRanks::statistic).collect();
        assert!(statistics.is_sorted_by(|a, b| a > b), "{statistics:?}");
        let mut expected = [0, 1, 2].map(|first| {
            let as_large = (0..1_u32 << 10).filter(|&signs| {
                values[first..]
                    .iter()
                    .any(|values| turned(values, signs) >= statistics[first] - 1e-9)
            });
            as_large.count() as f64 / 1024.0
        });
        expected[1] = expected[1].max(expected[0]);
        expected[2] = expected[2].max(expected[1]);
        assert_eq!(adjusted_p(&SignFlips::of(10, 1), &series, Sided::Larger), expected);
    }

    #[test]
    fn both_directions_count_unless_one_is_chosen() {
        let flips = SignFlips::of(8, 1);
        let better = [ranks(&[-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0])];
        assert!((adjusted_p(&flips, &better, Sided::Both)[0] - 2.0 / 256.0).abs() < 1e-12);
        assert!((adjusted_p(&flips, &better, Sided::Larger)[0] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn values_that_are_all_at_the_center_are_no_effect() {
        let flips = SignFlips::of(8, 1);
        let all_below = adjusted_p(&flips, &[ranks(&[-1.0; 8]), ranks(&[0.0; 8])], Sided::Both);
        assert!((all_below[0] - 2.0 / 256.0).abs() < 1e-12);
        assert!((all_below[1] - 1.0).abs() < 1e-12);
        assert!((adjusted_p(&flips, &[ranks(&[0.0; 8])], Sided::Larger)[0] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_drawn_probability_is_close_to_the_exact_one() {
        let values: Vec<f64> = (1..=14)
            .map(|value| f64::from(value) * if value % 4 == 0 { -1.0 } else { 1.0 })
            .collect();
        let drawn = adjusted_p(&SignFlips::of(14, 7), &[ranks(&values)], Sided::Larger)[0];
        let exact = (0..1_u32 << 14).filter(|signs| {
            let sum: i32 =
                (0..14).map(|bit| if signs >> bit & 1 == 1 { bit + 1 } else { -(bit + 1) }).sum();
            sum >= 105 - 2 * (4 + 8 + 12)
        });
        let exact = exact.count() as f64 / f64::from(1_u32 << 14);
        assert!((drawn - exact).abs() < 0.1 * exact, "{drawn} of {exact}");
    }

    #[test]
    fn values_above_the_critical_one_are_told_from_chance_and_no_others() {
        let noisy = ranks(&[1.0, -2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
        let flips = SignFlips::of(10, 1);
        for turned in 0..1_u32 << 10 {
            let sign = |bit: i32| if turned >> bit & 1 == 1 { -1.0 } else { 1.0 };
            let values: Vec<f64> = (0..10).map(|bit| sign(bit) * f64::from(bit + 1)).collect();
            let series = [ranks(&values), noisy.clone()];
            let tested = flips.test(&series[..1], Sided::Larger);
            let is_told = tested.adjusted_p[0] <= 0.05;
            assert_eq!(series[0].statistic() > tested.critical(0.05), is_told, "{values:?}");
            let together = flips.test(&series, Sided::Larger);
            let is_told = together.adjusted_p[0] <= 0.05;
            // The step-down test can tell more series from chance than the critical value of all,
            // but never fewer.
            assert!(series[0].statistic() <= together.critical(0.05) || is_told, "{values:?}");
        }
    }

    #[test]
    fn no_value_is_critical_if_no_combination_is_improbable_enough() {
        let six = ranks(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let tested = SignFlips::of(6, 1).test(&[six], Sided::Larger);
        assert!(tested.critical(0.01).is_infinite());
    }

    #[test]
    fn blocks_beyond_the_first_byte_count() {
        // 40 blocks, all worse: no drawn combination except the observed one comes near.
        let values: Vec<f64> = (1..=40).map(f64::from).collect();
        let p = adjusted_p(&SignFlips::of(40, 3), &[ranks(&values)], Sided::Larger);
        assert!((p[0] - 1.0 / DRAWN as f64).abs() < 1e-12, "{p:?}");
        let last_only: Vec<f64> =
            (1..=40).map(|place| if place > 32 { 1.0 } else { 0.0 }).collect();
        let p = adjusted_p(&SignFlips::of(40, 3), &[ranks(&last_only)], Sided::Larger)[0];
        assert!((p - 1.0 / 256.0).abs() < 1e-3, "{p}");
    }
}
