//! Confidence intervals of latency percentiles that allow for autocorrelation.
//!
//! Consecutive requests are alike: they met the same queue, the same stall, or the same slow
//! minute. A million of them may therefore say no more than a thousand independent ones, and an
//! interval that treats them as independent is far too narrow. Comparing a few long sections of the
//! run shows how much they say: the more the share of requests below a percentile differs between
//! sections, the less a single request says.
//!
//! The method comes from surveys, where it gives intervals for quantiles of clustered data
//! (Woodruff 1952, "Confidence intervals for medians and other position measures"). Here the
//! sections are the clusters: the share of requests at or below the estimated quantile has a
//! standard error between sections, Student's t turns it into limits of the share, and the limits
//! of the quantile are read from the distribution. Sections have to be long compared with the time
//! over which requests are alike (Schmeiser 1982, "Batch size effects in the analysis of simulation
//! output": few long ones lose little). The `SECTIONS` of a run of five minutes are 37 s each,
//! which is long compared with a level that needs ten seconds to change.
//!
//! **The workload decides if an interval is shown**: the requested length and rate of an open loop,
//! and the percentile. The value of the percentile has no influence. Leaving out intervals that
//! look uncertain was rejected: they belong to runs that met the rare event, so the intervals that
//! remain are mostly too low (10 s at 1,000 requests/s of an M/M/1 queue at 0.8: 38 % of the
//! intervals of p99 held the truth). Three things are still left out, and none of them selects runs
//! by their result:
//!
//! - A limit that rests on the ages of requests without a response is a lower bound, not a limit.
//!   The run itself shows this, by its errors and by `≥`.
//! - A run in which a check found no steady state has no percentile that an interval could
//!   describe. The truth bench counts these runs, too: at most one in ten of the runs without a
//!   fault.
//! - A run that was interrupted is shorter than requested.
//!
//! **An interval describes** the percentile that this server and machine would have over a very
//! long time at this rate, if they continued as they were during this run. It says nothing about
//! another start of the server, about another day, or about an event that occurs less than a few
//! times in a run. The spread over rounds shows these, and short runs have only that spread.
//!
//! `cargo bench --bench truth -- coverage` compares intervals with known truths; [`MIN_LENGTH`] and
//! [`MIN_REQUESTS`] come from it. A p99.9 has no interval: at 95 % of the capacity of an M/D/1
//! queue, five minutes hold about three of the excursions that make up the p99.9, and 69 % of its
//! intervals held the truth. A run would have to last 30 minutes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::measurement::{Batch, Measurement, Times};
use crate::workload::{Until, Workload};

/// 95 % confidence intervals of percentiles, lower and upper limit, in microseconds. They hold for
/// this server and machine as they were during this run, if they had continued at this rate. The
/// requested length and rate decide if there are any. An interval is absent if its limit would be
/// the age of requests without a response.
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

/// Length of the shortest run that has intervals. Levels that drift require it: if their memory is
/// ten seconds, 89 % of the intervals hold the truth at 200 s, and 92 % at this length.
pub const MIN_LENGTH: Duration = Duration::from_mins(5);

/// Fewest requests of a run that has intervals, by the requested rate and length. The memory of a
/// queue is measured in requests, so at a tenth of the rate a run has to be ten times as long.
pub const MIN_REQUESTS: f64 = 300_000.0;

/// Consecutive sections of a run whose shares are compared. Six sections would be longer, and their
/// intervals would hold the truth as often; but with fewer degrees of freedom these intervals would
/// be a tenth wider.
const SECTIONS: usize = 8;

/// Probability beyond each of the two limits: half of 5 %.
const TAIL: f64 = 0.025;

/// Share of the requested length below which a run counts as interrupted.
const WHOLE: f64 = 0.99;

/// Returns the 95 % intervals of the latency; `None` if the workload was too short or the run was
/// interrupted.
pub(crate) fn intervals(measured: &Measurement) -> Option<Intervals> {
    let is_whole = measured.duration >= asked_length(&measured.workload)?.mul_f64(WHOLE);
    let has_sections = measured.batches.len() >= SECTIONS && !measured.times.latency.is_empty();
    if !is_whole || !has_sections || !are_shown_of(&measured.workload) {
        return None;
    }
    let sections = sections(&measured.batches);
    let us = |quantile| {
        interval(measured, &sections, quantile).map(|limits| limits.map(|ns| ns as f64 / 1e3))
    };
    let intervals = Intervals { p50: us(0.5), p90: us(0.9), p99: us(0.99) };
    (intervals != Intervals::default()).then_some(intervals)
}

/// Returns true if runs of this workload have intervals: open loops of at least [`MIN_LENGTH`] and
/// [`MIN_REQUESTS`].
pub fn are_shown_of(workload: &Workload) -> bool {
    let Some((length, rate)) = asked_length(workload).zip(workload.pacing.rate()) else {
        return false;
    };
    length >= MIN_LENGTH && length.as_secs_f64() * rate >= MIN_REQUESTS
}

/// Returns the requested length of an open loop; `None` for a closed loop, which has no requested
/// rate and whose number of requests is a result.
fn asked_length(workload: &Workload) -> Option<Duration> {
    let rate = workload.pacing.rate()?;
    match workload.until {
        Until::Elapsed(length) => Some(length),
        Until::Requests(requests) => Duration::try_from_secs_f64(requests as f64 / rate).ok(),
        Until::Told => None,
    }
}

/// Returns the 95 % interval of a quantile, in nanoseconds.
fn interval(measured: &Measurement, sections: &[Batch], quantile: f64) -> Option<[u64; 2]> {
    let whole = &measured.times.latency;
    // If many values equal the quantile, as within a stall, the shares up to and including it may
    // hide differences between sections. The shares below it show them.
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

/// Joins the batches into [`SECTIONS`] sections, as equal as whole batches allow.
fn sections(batches: &[Batch]) -> Vec<Batch> {
    let begin = |section: usize| section * batches.len() / SECTIONS;
    let section = |number| Batch::join(&batches[begin(number)..begin(number + 1)]);
    (0..SECTIONS).map(section).collect()
}

/// Number of values in a section, and number of those that are not above a bound.
type Share = (f64, f64);

fn shares_below(sections: &[Batch], bound: u64) -> Vec<Share> {
    let share = |section: &Batch| {
        (section.latency.len() as f64, section.latency.count_between(0, bound) as f64)
    };
    sections.iter().map(share).collect()
}

/// Returns the standard error of the overall share: that of a ratio between clusters (Kish 1965,
/// Survey Sampling, section 6.3; Cochran 1977, section 11.2), and at least that of independent
/// values.
fn standard_error(shares: &[Share]) -> f64 {
    let sections = shares.len() as f64;
    let total = shares.iter().map(|(all, _)| all).sum::<f64>();
    let overall = shares.iter().map(|(_, below)| below).sum::<f64>() / total;
    let squares = shares.iter().map(|(all, below)| (below - overall * all).powi(2)).sum::<f64>();
    let between = sections / (sections - 1.0) * squares / (total * total);
    let independent = overall * (1.0 - overall) / total;
    between.max(independent).sqrt()
}

/// Returns true if most values at or above `bound` are ages of requests without a response: the
/// bound is then the least value that the quantile can have, and not the largest.
fn rests_on_ages(measured: &Measurement, bound: u64) -> bool {
    let bound = measured.times.latency.lowest_equivalent(bound);
    let beyond =
        |times: &Times| if times.is_empty() { 0 } else { times.count_between(bound, times.max()) };
    beyond(&measured.times.unanswered) * 2 > beyond(&measured.times.latency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{self, RATE, batch, set_batches, times};
    use crate::workload::{Arrivals, Pacing};

    /// Returns a run of five minutes in an open loop at [`RATE`], each batch with its mean latency.
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
    fn the_requested_length_and_rate_decide() {
        assert!(are_shown(|_| {}));
        assert!(!are_shown(|measured| measured.workload.until = Until::Elapsed(MIN_LENGTH / 2)));
        assert!(!are_shown(|measured| set_rate(measured, RATE / 2.0)));
        assert!(are_shown(|measured| measured.workload.until = Until::Requests(300_000)));
        assert!(!are_shown(|measured| measured.workload.until = Until::Requests(200_000)));
        assert!(!are_shown(|measured| measured.workload.pacing = Pacing::Closed));
    }

    #[test]
    fn a_run_that_met_a_rare_event_has_intervals_like_any_other() {
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
    fn sections_that_differ_widen_the_interval() {
        let width = |measured: &Measurement| {
            let [low, high] = intervals(measured).unwrap().p50.unwrap();
            high - low
        };
        let drifting = run(|number| if number / 15 % 2 == 0 { 900_000 } else { 1_100_000 });
        assert!(width(&drifting) > 5.0 * width(&steady()));
    }

    #[test]
    fn the_age_of_requests_without_an_end_is_no_limit() {
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
    fn equal_values_have_an_interval_of_one_value() {
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
        let lengths: Vec<u64> =
            sections(&batches).iter().map(|section| section.length.as_secs()).collect();
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
