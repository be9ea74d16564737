//! Power: the smallest change that a gate would have seen, from the noise that it had.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::hodges_lehmann;
use crate::signed_rank::SignedRanks;

/// Share of gates that must see a change of this size.
pub const SEEN: f64 = 0.95;

/// Gates that are simulated for each size.
const GATES: usize = 400;

/// Halvings of the range of sizes; the last one is a thousandth of the noise.
const HALVINGS: usize = 14;

/// Spreads of the noise that the largest size tried lies above the margin.
const SPREADS: f64 = 12.0;

/// Smallest effect, on the scale of `values`, that is told from `margin` in [`SEEN`] of gates that
/// have the noise of `values`, where the statistic must exceed `critical`. None where no effect is,
/// because there are too few blocks.
///
/// Blocks are drawn with replacement from what is left of the values without their middle (Efron,
/// "Bootstrap Methods", 1979), widened by the factor that such residuals are too small by.
pub fn smallest_detectable(values: &[f64], margin: f64, critical: f64, seed: u64) -> Option<f64> {
    let middle = hodges_lehmann::estimate(values)?;
    let widened = (values.len() as f64 / (values.len() as f64 - 1.0).max(1.0)).sqrt();
    let noise: Vec<f64> = values.iter().map(|value| (value - middle) * widened).collect();
    let widest = noise.iter().fold(0.0_f64, |widest, value| widest.max(value.abs()));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || noise[random.random_range(0..noise.len())];
    // The same gates for every size, so that a larger change is never seen less often.
    let gates: Vec<Vec<f64>> = (0..GATES).map(|_| noise.iter().map(|_| draw()).collect()).collect();
    let is_seen = |beyond: f64| {
        let seen = gates.iter().filter(|gate| SignedRanks::about(-beyond, gate).statistic() > critical);
        seen.count() as f64 >= SEEN * GATES as f64
    };
    let (mut low, mut high) = (0.0, (SPREADS * widest).max(f64::MIN_POSITIVE));
    if !is_seen(high) {
        return None;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if is_seen(middle) { high = middle } else { low = middle }
    }
    Some(margin + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign_flips::{Sided, SignFlips};

    fn detectable(blocks: usize, noise: f64) -> Option<f64> {
        let values: Vec<f64> =
            (0..blocks).map(|block| noise * ((block * 7 % 13) as f64 / 6.0 - 1.0)).collect();
        let ranks = [SignedRanks::about(0.0, &values)];
        let critical = SignFlips::of(blocks, 1).critical(&ranks, Sided::Larger, 0.01);
        smallest_detectable(&values, 0.02, critical, 1)
    }

    #[test]
    fn more_noise_hides_more_and_more_blocks_hide_less() {
        let quiet = detectable(24, 0.01).unwrap();
        let noisy = detectable(24, 0.02).unwrap();
        let few = detectable(12, 0.01).unwrap();
        assert!(quiet > 0.02 && (noisy - 0.02) / (quiet - 0.02) > 1.9, "{quiet} and {noisy}");
        assert!(few > quiet, "{few} and {quiet}");
    }

    #[test]
    fn it_is_about_that_of_a_t_test_with_normal_noise() {
        // Of 24 blocks with a standard deviation of 0.62 % (uniform, ±1.08 %) a one-sided t-test at
        // 1 % sees (2.5 + 1.7) standard errors in 95 of 100 gates.
        let standard_error = 0.0108 / 3_f64.sqrt() / 24_f64.sqrt();
        let beyond = detectable(24, 0.0108).unwrap() - 0.02;
        assert!(beyond > 3.0 * standard_error && beyond < 5.5 * standard_error, "{beyond}");
    }

    #[test]
    fn six_blocks_see_nothing_at_one_percent() {
        assert_eq!(detectable(6, 0.01), None);
    }
}
