//! Confidence intervals of latency percentiles that allow for autocorrelation.
//!
//! Requests that follow each other are alike (they met the same line, the same stall, the same slow
//! minute), so a million of them may tell no more than a thousand independent ones, and an interval
//! that takes them for independent is too narrow by far. How much they tell is seen from a few long
//! sections of the run: the more the share of requests below a percentile differs from one to the
//! next, the less a single request tells.
//!
//! The method is that of surveys for quantiles of clustered data (Woodruff 1952, "Confidence
//! intervals for medians and other position measures"), with sections for clusters: the share at or
//! below the estimated quantile has a standard error between sections, Student's t makes limits of
//! it, and these are read from the distribution. Sections have to be long against what makes
//! requests alike (Schmeiser 1982, "Batch size effects in the analysis of simulation output": few
//! long ones lose little). [`SECTIONS`] of a run of five minutes are 37 s each, which is long against
//! a level that needs ten seconds to change.
//!
//! **Whether an interval is shown follows from what was asked for**: an open loop's length and rate,
//! and the percentile. It does not depend on what the percentile came out as. Leaving out those that
//! look uncertain was rejected, because these are the ones of runs that met the rare event: what is shown
//! then is mostly too low (10 s at 1,000 requests/s of an M/M/1 queue at 0.8: 38 % of the intervals
//! of p99 held the truth). Three things are left out all the same, and none is a choice among
//! outcomes of one kind:
//!
//! - A limit that rests on the ages of requests without an answer is a lower bound, not a limit. The
//!   run says so itself, by its errors and by `≥`.
//! - A run that a check found in no steady state has no percentile that an interval could be of. The
//!   bench counts these, too: at most one in ten of the runs without a fault.
//! - A run that was interrupted is shorter than what was asked for.
//!
//! **What an interval is of**: the percentile that this server and machine, going on as they were
//! during this run, would have over a very long time at this rate. It says nothing of another start
//! of the server, of another day, or of an event that comes less than a few times in a run. The
//! spread over rounds does, and it is what short runs have.
//!
//! `cargo bench --bench truth -- coverage` compares intervals with known truths; [`MIN_LENGTH`] and
//! [`MIN_REQUESTS`] are from there. A p99.9 has none: at 95 % of an M/D/1 queue's capacity, five
//! minutes hold three or so of the excursions that it is made of, and 69 % of its intervals held the
//! truth; it would take 30 minutes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::measurement::{Batch, Measurement, Times};
use crate::workload::{Until, Workload};

/// 95 % confidence intervals of percentiles, lower and upper limit, in microseconds: of this server
/// and machine as they were during this run, had it gone on at this rate. Whether there are any
/// follows from the length and the rate that were asked for. One is absent where its limit would be
/// the age of requests without an answer.
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
}

/// The shortest run that has intervals. Levels that drift are what it is for: with a memory of ten
/// seconds, 89 % of the intervals hold the truth at 200 s, and 92 % here.
pub const MIN_LENGTH: Duration = Duration::from_mins(5);

/// The fewest requests, asked for, of a run that has intervals. What a queue remembers is measured
/// in requests, so that at a tenth of the rate it takes ten times the length.
pub const MIN_REQUESTS: f64 = 300_000.0;

/// Consecutive sections of a run whose shares are compared. Those of six would be longer, and hold the
/// truth as often; but for want of degrees of freedom, the intervals are a tenth wider.
const SECTIONS: usize = 8;

/// What is left out on either side: half of 1 − 95 %.
const TAIL: f64 = 0.025;

/// Of the length that was asked for, what a run that was not interrupted has at least.
const WHOLE: f64 = 0.99;

/// The 95 % intervals of the latency; none where the workload asked for too little.
pub(crate) fn intervals(measured: &Measurement) -> Option<Intervals> {
    let is_whole = measured.duration >= asked_length(&measured.workload)?.mul_f64(WHOLE);
    let has_sections = measured.batches.len() >= SECTIONS && !measured.times.latency.is_empty();
    if !is_whole || !has_sections || !are_shown_of(&measured.workload) {
        return None;
    }
    let sections = sections(&measured.batches);
    let us =
        |quantile| interval(measured, &sections, quantile).map(|limits| limits.map(|ns| ns as f64 / 1e3));
    let intervals = Intervals { p50: us(0.5), p90: us(0.9), p99: us(0.99) };
    (intervals != Intervals::default()).then_some(intervals)
}

/// Whether runs of this workload have intervals: open loops of [`MIN_LENGTH`] and [`MIN_REQUESTS`].
pub fn are_shown_of(workload: &Workload) -> bool {
    let Some((length, rate)) = asked_length(workload).zip(workload.pacing.rate()) else { return false };
    length >= MIN_LENGTH && length.as_secs_f64() * rate >= MIN_REQUESTS
}

/// How long an open loop was to be; none for a closed one, which asks for no rate: how many requests
/// it has is an outcome.
fn asked_length(workload: &Workload) -> Option<Duration> {
    let rate = workload.pacing.rate()?;
    match workload.until {
        Until::Elapsed(length) => Some(length),
        Until::Requests(requests) => Duration::try_from_secs_f64(requests as f64 / rate).ok(),
    }
}

/// The 95 % interval of a quantile, in nanoseconds.
fn interval(measured: &Measurement, sections: &[Batch], quantile: f64) -> Option<[u64; 2]> {
    let whole = &measured.times.latency;
    // Where many values are the quantile itself, as when it lies in a stall, those below it tell
    // what those up to it hide.
    let estimate = whole.value_at_quantile(quantile);
    let below = whole.lowest_equivalent(estimate).saturating_sub(1);
    let errors = [estimate, below].map(|bound| standard_error(&shares_below(sections, bound)));
    let freedom = sections.len() as f64 - 1.0;
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(1.0 - TAIL);
    let margin = t * errors[0].max(errors[1]);
    let low = whole.lowest_equivalent(whole.value_at_quantile((quantile - margin).max(0.0)));
    let high = whole.value_at_quantile((quantile + margin).min(1.0));
    (!rests_on_ages(measured, high)).then_some([low, high])
}

/// The run in [`SECTIONS`] stretches, as equal as whole batches allow.
fn sections(batches: &[Batch]) -> Vec<Batch> {
    let begin = |section: usize| section * batches.len() / SECTIONS;
    let section = |number| Batch::join(&batches[begin(number)..begin(number + 1)]);
    (0..SECTIONS).map(section).collect()
}

/// How many values a section has, and how many of them are not above a bound.
type Share = (f64, f64);

fn shares_below(sections: &[Batch], bound: u64) -> Vec<Share> {
    let share =
        |section: &Batch| (section.latency.len() as f64, section.latency.count_between(0, bound) as f64);
    sections.iter().map(share).collect()
}

/// The standard error of the overall share: of a ratio between clusters (Kish 1965, Survey Sampling,
/// section 6.3; Cochran 1977, section 11.2), and never below that of independent values.
fn standard_error(shares: &[Share]) -> f64 {
    let sections = shares.len() as f64;
    let total = shares.iter().map(|(all, _)| all).sum::<f64>();
    let overall = shares.iter().map(|(_, below)| below).sum::<f64>() / total;
    let squares = shares.iter().map(|(all, below)| (below - overall * all).powi(2)).sum::<f64>();
    let between = sections / (sections - 1.0) * squares / (total * total);
    let independent = overall * (1.0 - overall) / total;
    between.max(independent).sqrt()
}

/// Whether most of what is not below `bound` is without an end: the bound would then be the least
/// that the quantile can be, and not the most.
fn rests_on_ages(measured: &Measurement, bound: u64) -> bool {
    let bound = measured.times.latency.lowest_equivalent(bound);
    let beyond = |times: &Times| if times.is_empty() { 0 } else { times.count_between(bound, times.max()) };
    beyond(&measured.times.unanswered) * 2 > beyond(&measured.times.latency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{self, RATE, batch, set_batches, times};
    use crate::workload::{Arrivals, Pacing};

    /// Five minutes of an open loop of [`RATE`], each batch with its mean latency.
    fn run(mean_ns: impl Fn(usize) -> u64) -> Measurement {
        let of = |number| Batch {
            length: MIN_LENGTH / 60,
            ..batch((RATE * MIN_LENGTH.as_secs_f64()) as u64 / 60, mean_ns(number))
        };
        let mut measured = fixture::open(Arrivals::Poisson);
        measured.workload.until = Until::Elapsed(MIN_LENGTH);
        set_batches(&mut measured, (0..60).map(of).collect());
        measured
    }

    fn steady() -> Measurement {
        run(|_| 1_000_000)
    }

    fn are_shown(change: impl FnOnce(&mut Measurement)) -> bool {
        let mut measured = steady();
        change(&mut measured);
        intervals(&measured).is_some()
    }

    fn set_rate(measured: &mut Measurement, asked: f64) {
        let Pacing::Open { rate, .. } = &mut measured.workload.pacing else { unreachable!() };
        *rate = asked;
    }

    #[test]
    fn the_length_and_the_rate_that_were_asked_for_decide() {
        assert!(are_shown(|_| {}));
        assert!(!are_shown(|measured| measured.workload.until = Until::Elapsed(MIN_LENGTH / 2)));
        assert!(!are_shown(|measured| set_rate(measured, RATE / 2.0)));
        assert!(are_shown(|measured| measured.workload.until = Until::Requests(300_000)));
        assert!(!are_shown(|measured| measured.workload.until = Until::Requests(200_000)));
        assert!(!are_shown(|measured| measured.workload.pacing = Pacing::Closed));
    }

    #[test]
    fn a_run_that_met_a_rare_event_has_them_as_any_other() {
        let Intervals { p50, p90, p99 } =
            intervals(&run(|number| if number == 41 { 80_000_000 } else { 1_000_000 })).unwrap();
        assert!(p50.is_some() && p90.is_some());
        let [low, high] = p99.unwrap();
        assert!(low < 2_000.0 && high > 80_000.0, "{low} {high}");
    }

    #[test]
    fn an_interrupted_run_has_none() {
        assert!(!are_shown(|measured| measured.duration /= 2));
    }

    #[test]
    fn a_run_without_requests_has_none() {
        assert!(!are_shown(|measured| measured.times.latency.clear()));
    }

    #[test]
    fn sections_that_differ_widen_it() {
        let width = |measured: &Measurement| {
            let [low, high] = intervals(measured).unwrap().p50.unwrap();
            high - low
        };
        let drifting = run(|number| if number / 15 % 2 == 0 { 900_000 } else { 1_100_000 });
        assert!(width(&drifting) > 5.0 * width(&steady()));
    }

    #[test]
    fn a_limit_that_is_the_age_of_requests_without_an_end_is_none() {
        let mut measured = steady();
        let given_up = [(900_000_000, 6_000)];
        for batch in [2, 31] {
            measured.batches[batch].latency.record_n(900_000_000, 3_000).unwrap();
        }
        measured.times.latency.record_n(900_000_000, 6_000).unwrap();
        measured.times.unanswered = times(&given_up);
        let Intervals { p50, p99, .. } = intervals(&measured).unwrap();
        assert!(p50.is_some() && p99.is_none());
    }

    #[test]
    fn all_alike_has_an_interval_of_one_value() {
        let mut measured = steady();
        let mut batches = measured.batches.clone();
        for batch in &mut batches {
            batch.latency = times(&[(1_000_000, 5_000)]);
        }
        set_batches(&mut measured, batches);
        let [low, high] = intervals(&measured).unwrap().p50.unwrap();
        assert!((low - 1_000.0).abs() < 1.0 && (high - 1_000.0).abs() < 1.0, "{low} {high}");
    }

    #[test]
    fn sections_are_as_equal_as_whole_batches_allow() {
        let batches = vec![batch(100, 1_000_000); 38];
        let lengths: Vec<u64> = sections(&batches).iter().map(|section| section.length.as_secs()).collect();
        assert_eq!(lengths, [4, 5, 5, 5, 4, 5, 5, 5]);
    }

    #[test]
    fn the_error_is_that_of_a_mean_where_sections_are_equal() {
        // Shares of 0.4, 0.5, 0.6: their standard deviation is 0.1.
        let error = standard_error(&[(1e6, 4e5), (1e6, 5e5), (1e6, 6e5)]);
        assert!((error - 0.1 / 3_f64.sqrt()).abs() < 1e-12, "{error}");
    }

    #[test]
    fn the_error_is_at_least_that_of_independent_values() {
        let error = standard_error(&[(50.0, 25.0), (50.0, 25.0)]);
        assert!((error - 0.05).abs() < 1e-12, "{error}");
    }
}
