//! Rule for every place that shows a percentile: the number of samples limits how far in the tail
//! the percentile may lie.
//!
//! A percentile is shown if at least 10 samples are expected beyond it. In the tail, the number of
//! samples found beyond it has nearly a Poisson distribution. If ten were counted, their expected
//! number lies between 4.8 and 18.4, 95 times in 100 (Garwood 1936, "Fiducial limits for the
//! Poisson distribution"): the number beyond the percentile is known to a factor of about two, and
//! the next run shows nearly the same value. If one was counted, the expected number may be 0.03 or
//! 5.6, which is two orders of magnitude; the percentile is then only another name for the maximum.
//! (Le Boudec 2010, "Performance Evaluation of Computer and Communication Systems", section 2.2.3,
//! has order statistics as confidence limits of quantiles.)
//!
//! Rejected: n with pⁿ ≤ 0.025 (Hahn and Meeker 1991, "Statistical Intervals", section 5.2), which
//! is 3.7 samples beyond. This rule makes the largest sample an upper bound of the percentile, and
//! does not say how far below the sample the percentile lies.
//!
//! All of this holds for independent samples. Consecutive requests are alike; the intervals of
//! [`confidence`](crate::confidence) allow for that.

use crate::measurement::Times;

/// Samples that must lie beyond a percentile before it is shown.
pub const SAMPLES_BEYOND: u64 = 10;

/// Returns the time at `quantile` (0 to 1) in nanoseconds; `None` if fewer than [`SAMPLES_BEYOND`]
/// samples lie beyond it.
pub fn supported(times: &Times, quantile: f64) -> Option<u64> {
    (quantile <= last_supported(times.len())).then(|| times.value_at_quantile(quantile))
}

/// Returns the last quantile (0 to 1) with [`SAMPLES_BEYOND`] of `count` samples beyond it;
/// negative if there are too few samples for any.
pub fn last_supported(count: u64) -> f64 {
    1.0 - SAMPLES_BEYOND as f64 / count as f64
}

/// Returns the last quantile (0 to 1) that can be shown for `count` samples: enough of them lie
/// beyond it, and no failed request may belong below it ([`known_to`]).
pub fn last_known(count: u64, known_to: Option<f64>) -> f64 {
    last_supported(count).min(known_to.unwrap_or(1.0))
}

/// Returns the highest quantile (0 to 1) that is known if `failed` requests have no time and
/// `timed` requests have one: the failed ones may have been the slowest. `None` if no request
/// failed.
pub fn known_to(failed: u64, timed: u64) -> Option<f64> {
    (failed > 0).then(|| timed as f64 / (failed + timed) as f64)
}

/// Returns the fewest samples that support `quantile` (0 to 1).
pub fn samples_for(quantile: f64) -> u64 {
    // Rounded first: for 0.999, which is no binary fraction, the quotient is a little above 10,000.
    let samples = (SAMPLES_BEYOND as f64 / (1.0 - quantile)).round() as u64;
    if quantile <= last_supported(samples) { samples } else { samples + 1 }
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{ContinuousCDF, Gamma};

    use super::*;
    use crate::times::empty_times;

    fn one_to(count: u64) -> Times {
        let mut times = empty_times();
        (1..=count).for_each(|ns| times.record(ns).unwrap());
        times
    }

    #[test]
    fn a_thousand_samples_support_the_99th_percentile_and_no_higher_one() {
        let times = one_to(1_000);
        assert_eq!(supported(&times, 0.99), Some(990));
        assert_eq!(supported(&times, 0.999), None);
    }

    #[test]
    fn requests_without_a_time_may_have_been_the_slowest_ones() {
        assert_eq!(known_to(0, 1_000), None);
        assert_eq!(known_to(8, 992), Some(0.992));
        assert_eq!(known_to(1, 0), Some(0.0));
        // The samples are enough for p99; the failures leave p90 known.
        for (count, known_to, last) in
            [(1_000, None, 0.99), (1_000, Some(0.9), 0.9), (100, Some(0.95), 0.9)]
        {
            assert!(
                (last_known(count, known_to) - last).abs() < 1e-9,
                "{count} samples, {known_to:?}"
            );
        }
    }

    #[test]
    fn a_median_needs_twenty_samples() {
        assert_eq!(supported(&one_to(20), 0.5), Some(10));
        assert_eq!(supported(&one_to(19), 0.5), None);
        assert_eq!(supported(&one_to(0), 0.0), None);
    }

    #[test]
    fn the_samples_that_a_percentile_takes_are_round_numbers() {
        let taken = [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999].map(samples_for);
        assert_eq!(taken, [20, 100, 200, 1_000, 10_000, 100_000]);
    }

    #[test]
    fn the_fewest_samples_support_a_percentile_and_one_less_does_not() {
        for quantile in [0.0, 0.3, 0.5, 0.7, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 0.99999] {
            let samples = samples_for(quantile);
            assert!(quantile <= last_supported(samples), "{samples} for {quantile}");
            assert!(quantile > last_supported(samples - 1), "{samples} for {quantile}");
        }
    }

    /// Returns the 95 % limits of a Poisson mean from a count of `count`.
    fn poisson_limits(count: f64) -> [f64; 2] {
        let at = |shape: f64, share: f64| Gamma::new(shape, 1.0).unwrap().inverse_cdf(share);
        [at(count, 0.025), at(count + 1.0, 0.975)]
    }

    #[test]
    fn ten_samples_beyond_a_percentile_agree_with_garwoods_table() {
        // Garwood 1936, table of fiducial limits at 95 %: 4.80 and 18.39 for 10, 0.0253 and 5.57
        // for 1.
        for (count, published) in [(SAMPLES_BEYOND as f64, [4.795, 18.39]), (1.0, [0.0253, 5.572])]
        {
            for (limit, published) in poisson_limits(count).into_iter().zip(published) {
                assert!((limit / published - 1.0).abs() < 0.002, "{limit} and not {published}");
            }
        }
    }
}
