//! The highest percentile that a number of samples supports.
//!
//! The number of samples beyond a percentile is binomial, close to Poisson in the tail: with k of
//! them beyond, its standard deviation is √k. With 10 beyond, a 95 % interval runs over ranks 4 to
//! 16 from the end, which still places the percentile; with one or two beyond, the percentile is
//! the maximum under another name. (Le Boudec, "Performance Evaluation of Computer and
//! Communication Systems", 2010, section 2.2.3: order statistics as confidence limits of
//! quantiles.)

use c10k_loadgen::measurement::Times;

/// Samples that must lie beyond a percentile before it is shown.
pub const SAMPLES_BEYOND: u64 = 10;

/// The time at `quantile` (0 to 1) in nanoseconds, or nothing where fewer than [`SAMPLES_BEYOND`]
/// samples lie beyond it.
pub fn supported(times: &Times, quantile: f64) -> Option<u64> {
    (quantile <= last_supported(times.len())).then(|| times.value_at_quantile(quantile))
}

/// The last quantile (0 to 1) with [`SAMPLES_BEYOND`] of `count` samples beyond it; negative where
/// there are too few for any.
pub fn last_supported(count: u64) -> f64 {
    1.0 - SAMPLES_BEYOND as f64 / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::merge;

    fn one_to(count: u64) -> Times {
        let mut times = merge::empty();
        (1..=count).for_each(|ns| times.record(ns).unwrap());
        times
    }

    #[test]
    fn a_thousand_samples_carry_the_99th_percentile_and_no_more() {
        let times = one_to(1_000);
        assert_eq!(supported(&times, 0.99), Some(990));
        assert_eq!(supported(&times, 0.999), None);
    }

    #[test]
    fn a_median_takes_twenty_samples() {
        assert_eq!(supported(&one_to(20), 0.5), Some(10));
        assert_eq!(supported(&one_to(19), 0.5), None);
        assert_eq!(supported(&one_to(0), 0.0), None);
    }
}
