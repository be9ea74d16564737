//! Confidence intervals of latency percentiles that allow for autocorrelation.
//!
//! Requests that follow each other are alike (they met the same line, the same stall), so a million
//! of them may tell no more than a thousand independent ones, and an interval that takes them for
//! independent is too narrow by far. How much they tell is seen from batches: the more the share of
//! requests below a percentile differs from one to the next, the less a single request tells.
//!
//! The interval is the one that surveys use for quantiles of clustered data: the share below the
//! estimated quantile with its variance between batches gives an effective number of samples, that
//! one the exact binomial limits of the share, and the limits are read from the distribution
//! (Woodruff 1952, "Confidence intervals for medians and other position measures"; Korn and
//! Graubard 1998, "Confidence intervals for proportions with small expected number of positive
//! counts estimated from survey data"; it is `svyquantile(interval.type = "beta")` of R's
//! `survey`). With batches for clusters it is the method of batch means, whose batches have to be
//! longer than what makes requests alike (Schmeiser 1982, "Batch size effects in the analysis of
//! simulation output"). A run of a second has batches of a tenth of one, a hundred times what most
//! requests take; what lasts longer than a batch, such as a slow second, it can't allow for.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF, Normal, StudentsT};

use crate::measurement::{Batch, Times};

/// 95 % confidence intervals of percentiles, lower and upper limit, in microseconds. They allow for autocorrelation. One
/// is absent where there are too few effective samples, or too few batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "each field is of the percentile that its name says")]
pub struct Intervals {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<[f64; 2]>,
    #[serde(rename = "p99.9", default, skip_serializing_if = "Option::is_none")]
    pub p99_9: Option<[f64; 2]>,
}

/// What is left out on either side: half of 1 − 95 %.
const TAIL: f64 = 0.025;

/// Batches below which there is no interval. Fewer would still give one, but so wide for want of degrees of freedom, and
/// from batches so short, that it says nothing.
const MIN_BATCHES: usize = 8;

/// Batches that are used at the most; when there are more, neighbours are put together. Schmeiser found that more than 30
/// gain next to nothing, while longer ones are less alike.
const MAX_BATCHES: usize = 32;

/// The 95 % intervals of a distribution whose consecutive stretches are `batches`; none where there are too few.
pub(crate) fn intervals(whole: &Times, batches: &[Batch]) -> Option<Intervals> {
    let us = |quantile| interval(whole, batches, quantile).map(|limits| limits.map(|ns| ns as f64 / 1e3));
    let intervals = Intervals { p50: us(0.5), p90: us(0.9), p99: us(0.99), p99_9: us(0.999) };
    (intervals != Intervals::default()).then_some(intervals)
}

/// The 95 % interval of a quantile, in nanoseconds. There is none where the batches are too few, or the effective samples
/// too few to bound it on either side, or where the bound would be the age of requests that never ended.
fn interval(whole: &Times, batches: &[Batch], quantile: f64) -> Option<[u64; 2]> {
    // Where many values are the quantile itself, as when it lies in a stall, those below it tell what those up to it hide.
    let estimate = whole.value_at_quantile(quantile);
    let below = whole.lowest_equivalent(estimate).saturating_sub(1);
    let samples = [estimate, below]
        .into_iter()
        .map(|bound| effective_samples(&shares_below(batches, bound)))
        .try_fold(f64::INFINITY, |least, samples| Some(least.min(samples?)))?;
    let [low, high] = binomial_limits(quantile, samples)?;
    let low = whole.lowest_equivalent(whole.value_at_quantile(low));
    let high = whole.value_at_quantile(high);
    (!rests_on_ages(whole, batches, high)).then_some([low, high])
}

/// How many values a stretch has, and how many of them are not above a bound.
type Share = (f64, f64);

fn shares_below(batches: &[Batch], bound: u64) -> Vec<Share> {
    let share = |batch: &Batch| (batch.latency.len() as f64, batch.latency.count_between(0, bound) as f64);
    let add = |a: Share, b: Share| (a.0 + b.0, a.1 + b.1);
    let together = batches.len().div_ceil(MAX_BATCHES).max(1);
    batches.chunks(together).map(|batches| batches.iter().map(share).fold((0.0, 0.0), add)).collect()
}

/// The number of independent samples that would give the overall share as precisely as the batches do: the variance
/// between clusters of the share as a ratio (Kish 1965, Survey Sampling, section 6.3; Cochran 1977, section 11.2), in
/// proportion to that of independent samples, never below it, and reduced for being estimated from few batches (Korn and
/// Graubard 1998).
fn effective_samples(shares: &[Share]) -> Option<f64> {
    let batches = shares.len() as f64;
    let total = shares.iter().map(|(all, _)| all).sum::<f64>();
    if shares.len() < MIN_BATCHES || total == 0.0 {
        return None;
    }
    let overall = shares.iter().map(|(_, below)| below).sum::<f64>() / total;
    let squares = shares.iter().map(|(all, below)| (below - overall * all).powi(2)).sum::<f64>();
    let between = batches / (batches - 1.0) * squares / (total * total);
    let independent = overall * (1.0 - overall) / total;
    // Where all values are alike, nothing varies, and nothing is to be corrected.
    let design_effect = if independent > 0.0 { (between / independent).max(1.0) } else { 1.0 };
    let t = StudentsT::new(0.0, 1.0, batches - 1.0).ok()?.inverse_cdf(TAIL);
    let z = Normal::standard().inverse_cdf(TAIL);
    Some(total / design_effect * (z / t).powi(2))
}

/// Limits of a share, from `samples` that need not be whole (Clopper and Pearson 1934, by way of the beta distribution).
/// None where not even the extremes of so many samples enclose the quantile: q^n or (1 − q)^n above the tail.
fn binomial_limits(quantile: f64, samples: f64) -> Option<[f64; 2]> {
    if quantile.max(1.0 - quantile).powf(samples) > TAIL {
        return None;
    }
    let (below, above) = (quantile * samples, (1.0 - quantile) * samples);
    let low = Beta::new(below, above + 1.0).ok()?.inverse_cdf(TAIL);
    let high = Beta::new(below + 1.0, above).ok()?.inverse_cdf(1.0 - TAIL);
    Some([low, high])
}

/// Whether most of what is not below `bound` may be without an end: batches also hold the ages of requests that timed out
/// or had no answer at the end, beside what completed. The bound would then be the least that the quantile can be, and
/// not the most.
fn rests_on_ages(whole: &Times, batches: &[Batch], bound: u64) -> bool {
    let bound = whole.lowest_equivalent(bound);
    let beyond = |times: &Times| if times.is_empty() { 0 } else { times.count_between(bound, times.max()) };
    let ages =
        |batch: &Batch| batch.latency.len().saturating_sub(batch.completed).min(beyond(&batch.latency));
    batches.iter().map(ages).sum::<u64>() * 2 > beyond(whole)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// Log-normal latencies with a median of 1 µs whose logarithms are an autoregressive process of the first order:
    /// each remembers `memory` of the one before.
    struct Server {
        memory: f64,
        state: f64,
        random: ChaCha8Rng,
    }

    impl Server {
        fn new(memory: f64, seed: u64) -> Self {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            Self { memory, state: StandardNormal.sample(&mut random), random }
        }

        fn latency_ns(&mut self) -> u64 {
            let noise: f64 = StandardNormal.sample(&mut self.random);
            self.state = self.memory * self.state + (1.0 - self.memory * self.memory).sqrt() * noise;
            (1e3 * (0.5 * self.state).exp()) as u64
        }

        fn run(&mut self, batches: usize, requests: usize) -> (Times, Vec<Batch>) {
            let batches = (0..batches).map(|_| self.batch(requests)).collect::<Vec<_>>();
            let mut whole = empty();
            for batch in &batches {
                whole.add(&batch.latency).unwrap();
            }
            (whole, batches)
        }

        fn batch(&mut self, requests: usize) -> Batch {
            let mut latency = empty();
            (0..requests).for_each(|_| latency.record(self.latency_ns()).unwrap());
            Batch { length: Duration::from_secs(1), completed: requests as u64, latency }
        }
    }

    /// With narrow bounds, which are faster to add up than those of a recorder.
    fn empty() -> Times {
        Times::new_with_bounds(1, 100_000, 3).unwrap()
    }

    fn truth_ns(quantile: f64) -> f64 {
        1e3 * (0.5 * Normal::standard().inverse_cdf(quantile)).exp()
    }

    /// How often the intervals of these quantiles have the truth in them.
    fn coverage<const N: usize>(
        memory: f64,
        quantiles: [f64; N],
        batches: usize,
        requests: usize,
    ) -> [f64; N] {
        const RUNS: u64 = 200;
        let mut covered = [0.0; N];
        for run in 0..RUNS {
            let (whole, batches) = Server::new(memory, run).run(batches, requests);
            for (covered, quantile) in covered.iter_mut().zip(quantiles) {
                let [low, high] = interval(&whole, &batches, quantile).unwrap().map(|ns| ns as f64);
                *covered += f64::from(u8::from((low..=high).contains(&truth_ns(quantile)))) / RUNS as f64;
            }
        }
        covered
    }

    #[test]
    fn covers_the_truth_19_times_in_20_when_requests_are_independent() {
        for (batches, requests) in [(10, 100), (32, 40)] {
            let covered = coverage(0.0, [0.5, 0.9, 0.95], batches, requests);
            // Never fewer, but for the 1.5 % that 200 runs may be off by. The intervals are on the safe side.
            assert!(covered.iter().all(|&share| share >= 0.935), "{batches} batches: {covered:?}");
        }
    }

    #[test]
    fn covers_the_truth_when_requests_are_like_the_ones_before() {
        // What happens to a request is felt by about 20 or 40 others; a batch is 300.
        for memory in [0.9, 0.95] {
            let covered = coverage(memory, [0.5, 0.75, 0.9], 12, 300);
            assert!(covered.iter().all(|&share| share >= 0.9), "memory {memory}: {covered:?}");
        }
    }

    #[test]
    fn taking_such_requests_for_independent_would_not_cover_it() {
        let covers = |run| {
            let (whole, _) = Server::new(0.95, run).run(12, 300);
            let limits = binomial_limits(0.5, whole.len() as f64).unwrap();
            let [low, high] = limits.map(|share| whole.value_at_quantile(share) as f64);
            (low..=high).contains(&truth_ns(0.5))
        };
        assert!((0..60).filter(|&run| covers(run)).count() < 40);
    }

    #[test]
    fn few_batches_give_no_interval() {
        let (whole, batches) = Server::new(0.0, 1).run(MIN_BATCHES - 1, 1000);
        assert_eq!(intervals(&whole, &batches), None);
    }

    #[test]
    fn a_tail_with_too_few_samples_gives_none_and_the_median_beside_it_does() {
        let (whole, batches) = Server::new(0.0, 1).run(10, 100);
        let Intervals { p50, p90, p99, p99_9 } = intervals(&whole, &batches).unwrap();
        assert!(p50.is_some() && p90.is_some() && p99.is_some());
        assert_eq!(p99_9, None);
    }

    #[test]
    fn a_tail_that_is_one_stall_gives_none() {
        let (mut whole, mut batches) = Server::new(0.0, 1).run(10, 10_000);
        assert!(interval(&whole, &batches, 0.999).is_some());
        batches[4].latency.record_n(90_000, 200).unwrap();
        whole.record_n(90_000, 200).unwrap();
        assert_eq!(interval(&whole, &batches, 0.999), None);
        assert!(interval(&whole, &batches, 0.5).is_some());
    }

    #[test]
    fn a_bound_that_is_the_age_of_requests_without_an_end_is_none() {
        let (mut whole, mut batches) = Server::new(0.0, 1).run(10, 10_000);
        batches[9].latency.record_n(90_000, 3_000).unwrap();
        whole.record_n(90_000, 3_000).unwrap();
        assert_eq!(interval(&whole, &batches, 0.99), None);
        assert!(interval(&whole, &batches, 0.5).is_some());
    }

    #[test]
    fn all_alike_has_an_interval_of_one_value() {
        let batch = || {
            let mut latency = empty();
            latency.record_n(1_000, 100).unwrap();
            Batch { length: Duration::from_secs(1), completed: 100, latency }
        };
        let batches = (0..10).map(|_| batch()).collect::<Vec<_>>();
        let whole = Batch::join(&batches).latency;
        assert_eq!(interval(&whole, &batches, 0.5), Some([1_000, 1_000]));
    }

    #[test]
    fn many_batches_are_put_together() {
        let (whole, batches) = Server::new(0.0, 1).run(64, 10);
        let shares = shares_below(&batches, whole.max());
        assert_eq!(shares.len(), 32);
        assert!(shares.iter().all(|share| *share == (20.0, 20.0)));
    }

    #[test]
    fn limits_agree_with_published_ones() {
        // Clopper and Pearson's limits of 5 in 10, as in any table of them.
        let [low, high] = binomial_limits(0.5, 10.0).unwrap();
        assert!((low - 0.1871).abs() < 1e-4 && (high - 0.8129).abs() < 1e-4, "{low} {high}");
        assert_eq!(binomial_limits(0.5, 5.0), None);
        assert!(binomial_limits(0.99, 369.0).is_some() && binomial_limits(0.99, 366.0).is_none());
        // Of a hundred million samples, those of the normal approximation: ± 1.96 √(q(1−q)/n).
        let [low, high] = binomial_limits(0.99, 1e8).unwrap();
        assert!(
            (0.99 - low - 1.950e-5).abs() < 1e-7 && (high - 0.99 - 1.950e-5).abs() < 1e-7,
            "{low} {high}"
        );
    }
}
