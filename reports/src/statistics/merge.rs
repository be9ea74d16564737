//! Merges the distributions of several rounds into one.
//!
//! Counts are added bucket by bucket, so percentiles of the sum are those of all samples together.
//! An average of the percentiles of rounds would be wrong: a percentile of a union is not a mean of
//! percentiles (Tene, "How NOT to Measure Latency", 2015).

use c10k_loadgen::measurement::Times;

/// Creates a distribution without samples, with three significant digits, for any value.
pub fn empty() -> Times {
    Times::new(3).expect("three significant digits are a valid precision")
}

/// Adds the samples of `times` to `sum`, which grows as needed.
pub fn add(sum: &mut Times, times: &Times) {
    sum.add(times).expect("a distribution that grows takes any value");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The median of 99 fast samples and 101 slow ones is slow; the mean of the two medians is
    /// neither fast nor slow.
    #[test]
    fn percentiles_of_the_whole_are_those_of_all_samples() {
        let mut fast = empty();
        fast.record_n(100, 99).unwrap();
        let mut slow = empty();
        slow.record_n(900, 101).unwrap();
        let mut sum = empty();
        add(&mut sum, &fast);
        add(&mut sum, &slow);
        assert_eq!((sum.len(), sum.value_at_quantile(0.5)), (200, 900));
    }

    #[test]
    fn accepts_values_beyond_those_of_the_first() {
        let mut sum = empty();
        sum.record(1).unwrap();
        let mut late = empty();
        late.record(3_600_000_000_000).unwrap();
        add(&mut sum, &late);
        assert!(sum.max() >= 3_600_000_000_000);
    }
}
