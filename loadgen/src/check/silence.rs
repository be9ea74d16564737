//! `silence`: checks that the server answered from the beginning to the end.
//!
//! If a server stops for a part of the run, throughput and percentiles are an average over a server
//! that works and one that does not. In a closed loop little else shows it: the generator sends no
//! further requests to a server that stands still, so only the highest percentile notices.
//!
//! The check looks at the longest time in which no response came although requests waited. This
//! time is a silence if it is a notable part of the run and long compared with the usual time of a
//! response, so that a slow handler, or connections that are served in lockstep, do not count. A
//! server may also fall silent towards most of its connections and continue to serve the others:
//! the ages of the requests at the end show these connections.

use std::time::Duration;

use super::definition::{Check, Judgement, Verdict, percent};
use crate::measurement::{Measurement, Times};
use crate::workload::{Lifetime, Pacing, Until};

pub(super) const CHECK: Check = Check { name: "silence", judge };

/// A silence is reported if it is at least this share of the measured part: throughput is off by
/// the same share, which is a difference by which readers compare servers.
const MIN_SHARE: f64 = 0.1;

/// Shortest silences that warn and that fail: a busy machine may take a processor away for that
/// long. Time that it takes away from the generator, too, never fails: if the machine stands still
/// for 300 ms now and then, the server is not at fault.
const WARN_LENGTH: Duration = Duration::from_millis(100);
const FAIL_LENGTH: Duration = Duration::from_millis(250);

/// Shortest silence in units of the usual time of a response. Of exponential service times, one in
/// 10¹⁰ is above ten times their 90th percentile, and one in 400 above ten times their 45th, the
/// lowest percentile that is used. A silence takes that long on every connection at once.
const MIN_USUAL_TIMES: f64 = 10.0;

/// Percentile of the service time that is taken as usual, among the responses that did not wait
/// through the silence. With the median, a server would count as silent if every third response is
/// slow.
const USUAL: f64 = 0.9;

/// The check fails if at least this share of the connections that were served before hang at the
/// end: with half of the connections, the measured workload differs from the requested one.
const HANGING_SHARE: f64 = 0.5;

fn judge(measured: &Measurement) -> Option<Judgement> {
    if measured.times.service.is_empty() || measured.duration.is_zero() {
        return None;
    }
    let silence = judge_silence(measured);
    if silence.verdict == Verdict::Fail {
        return Some(silence);
    }
    Some(judge_hanging(measured).unwrap_or(silence))
}

fn judge_silence(measured: &Measurement) -> Judgement {
    let silence = measured.silence;
    let run_s = measured.duration.as_secs_f64();
    let is_notable = |time: Duration, least: Duration| {
        let is_long = time.as_secs_f64() >= MIN_USUAL_TIMES * usual_s(measured);
        is_long && time >= least && time.as_secs_f64() >= MIN_SHARE * run_s
    };
    let share = percent(silence.length.as_secs_f64() / run_s);
    let (length, begin) = (seconds(silence.length), seconds(silence.begin));
    let told =
        format!("no response came for {length}, {share} of the measured part, from {begin} on");
    if is_notable(silence.awake, FAIL_LENGTH) {
        return Judgement::new(Verdict::Fail, format!("{told}, while requests waited"));
    }
    if is_notable(silence.length, WARN_LENGTH) {
        let awake = seconds(silence.awake);
        let detail = format!("{told}; the generator itself was awake for {awake} of it");
        return Judgement::new(Verdict::Warn, detail);
    }
    let detail = match silence.length {
        Duration::ZERO => "responses never stopped coming".into(),
        _ => format!("the longest time without a response was {length}"),
    };
    Judgement::new(Verdict::Pass, detail)
}

/// Returns the usual time of a response, in seconds. If the time between two requests is longer,
/// returns that instead; it follows from the rate of requests, or of connections that are made
/// again and again.
fn usual_s(measured: &Measurement) -> f64 {
    let workload = &measured.workload;
    // For persistent connections, the connect rate only paces start-up.
    let is_made_again = workload.lifetime != Lifetime::Persistent;
    let connect_rate = workload.connect_rate.filter(|_| is_made_again);
    let rates = [workload.pacing.rate(), connect_rate];
    rates.into_iter().flatten().map(|rate| 1.0 / rate).fold(usual_service_s(measured), f64::max)
}

/// Returns a percentile of the service time without the slowest responses: one per connection is
/// left out, because that many can have waited through a silence. At least half of the responses
/// are kept, because a run may have fewer responses than connections.
fn usual_service_s(measured: &Measurement) -> f64 {
    let service = &measured.times.service;
    let responses = service.len();
    let stuck = measured.connections.requested.min(responses / 2);
    let quantile = USUAL * (responses - stuck) as f64 / responses as f64;
    service.value_at_quantile(quantile) as f64 / 1e9
}

/// Judges connections of a closed loop that hang at the end although they were served before.
/// `starvation` reports connections that were never served, `offered-rate` the requests of an open
/// loop that were never answered.
fn judge_hanging(measured: &Measurement) -> Option<Judgement> {
    let (Pacing::Closed, Until::Elapsed(_)) = (measured.workload.pacing, measured.workload.until)
    else {
        return None;
    };
    let connections = measured.connections;
    let oldest_ns = hanging_from_ns(measured);
    let hanging = count_from(&measured.times.unanswered, oldest_ns).saturating_sub(
        measured.errors.timeout + connections.requested.saturating_sub(connections.served),
    );
    let is_most = hanging as f64 >= HANGING_SHARE * connections.served as f64 && hanging > 0;
    is_most.then(|| {
        let detail = format!(
            "{hanging} of {} connections that were served before had waited at the end for {} or \
             more, longer than any response took",
            connections.served,
            seconds(Duration::from_nanos(oldest_ns))
        );
        Judgement::new(Verdict::Fail, detail)
    })
}

/// Returns the age above which a request hangs, in nanoseconds. It is above all service times, so
/// that a server that serves its connections one after another does not count as hanging. It is
/// also at least as long as a silence that fails.
fn hanging_from_ns(measured: &Measurement) -> u64 {
    let service = &measured.times.service;
    let least = measured.duration.mul_f64(MIN_SHARE).max(FAIL_LENGTH);
    (service.highest_equivalent(service.max()) + 1).max(least.as_nanos() as u64)
}

fn count_from(times: &Times, least: u64) -> u64 {
    if times.is_empty() || times.max() < least {
        0
    } else {
        times.count_between(least, times.max())
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::check::fixture::{self, CONNECTIONS, times};
    use crate::measurement::Silence;
    use crate::workload::Arrivals;

    /// Judges a run of 10 seconds, whose responses take about 1 ms, with a silence of this length.
    fn silent_for(mut measured: Measurement, ms: u64) -> Judgement {
        let length = Duration::from_millis(ms);
        measured.silence = Silence { begin: Duration::from_secs(2), length, awake: length };
        judge(&measured).unwrap()
    }

    #[test]
    fn passes_a_server_that_answered_all_along() {
        assert_eq!(silent_for(fixture::closed(), 0).verdict, Verdict::Pass);
        let judgement = silent_for(fixture::closed(), 400);
        assert_eq!(judgement.verdict, Verdict::Pass);
        assert_eq!(judgement.detail, "the longest time without a response was 0.40 s");
    }

    #[test]
    fn fails_a_server_that_was_silent_for_a_tenth_of_the_run() {
        for measured in [fixture::closed(), fixture::open(Arrivals::Poisson)] {
            let judgement = silent_for(measured, 3_000);
            assert_eq!(judgement.verdict, Verdict::Fail);
            assert!(
                judgement.detail.starts_with(
                    "no response came for 3.00 s, 30 % of the measured part, from 2.00 s on"
                ),
                "{}",
                judgement.detail
            );
        }
    }

    #[test]
    fn a_short_run_is_silent_only_for_longer_than_a_machine_takes_a_processor_away() {
        let verdict = |ms| {
            let mut measured = fixture::closed();
            measured.duration = Duration::from_millis(400);
            silent_for(measured, ms).verdict
        };
        assert_eq!([90, 150, 300].map(verdict), [Verdict::Pass, Verdict::Warn, Verdict::Fail]);
    }

    #[test]
    fn warns_of_a_machine_on_which_the_generator_stood_still_too() {
        let mut measured = fixture::closed();
        let length = Duration::from_secs(2);
        let awake = Duration::from_millis(100);
        measured.silence = Silence { begin: Duration::ZERO, length, awake };
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(
            judgement.detail.ends_with("the generator itself was awake for 0.10 s of it"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn responses_that_take_as_long_are_no_silence() {
        let mut measured = fixture::closed();
        // Every fifth response takes 1.2 s.
        measured.times.service = times(&[(1_000_000, 8_000), (1_200_000_000, 2_000)]);
        assert_eq!(silent_for(measured, 1_200).verdict, Verdict::Pass);
    }

    #[test]
    fn responses_that_waited_through_a_silence_do_not_make_it_usual() {
        // Number of connections, and number of responses on each before and after a silence of 3 s.
        for (connections, others) in [(64, 4), (64, 1), (10_000, 4), (1, 1)] {
            for mut measured in [fixture::closed(), fixture::open(Arrivals::Poisson)] {
                measured.connections.requested = connections;
                let responses = [(1_000_000, connections * others), (3_000_000_000, connections)];
                measured.times.service = times(&responses);
                let judgement = silent_for(measured, 3_000);
                assert_eq!(judgement.verdict, Verdict::Fail, "{connections} × {others}");
            }
        }
    }

    #[test]
    fn a_slow_server_with_fewer_responses_than_connections_is_not_silent() {
        let mut measured = fixture::closed();
        measured.times.service = times(&[(1_200_000_000, CONNECTIONS / 2)]);
        assert_eq!(silent_for(measured, 1_200).verdict, Verdict::Pass);
    }

    #[test]
    fn a_connect_rate_leaves_times_without_responses_where_connections_are_made_again() {
        let verdict = |lifetime| {
            let mut measured = fixture::closed();
            measured.workload.connect_rate = Some(2.0);
            measured.workload.lifetime = lifetime;
            silent_for(measured, 3_000).verdict
        };
        assert_eq!(verdict(Lifetime::Requests(NonZero::<u32>::MIN)), Verdict::Pass);
        assert_eq!(verdict(Lifetime::Persistent), Verdict::Fail);
    }

    #[test]
    fn a_schedule_of_few_requests_leaves_times_without_responses() {
        let mut measured = fixture::open(Arrivals::Poisson);
        let Pacing::Open { rate, .. } = &mut measured.workload.pacing else { unreachable!() };
        *rate = 2.0;
        assert_eq!(silent_for(measured, 2_000).verdict, Verdict::Pass);
    }

    /// Judges a run with requests of this age at its end.
    fn hanging(count: u64, age_ms: u64, served: u64) -> Judgement {
        let mut measured = fixture::closed();
        measured.times.unanswered = times(&[(age_ms * 1_000_000, count)]);
        measured.connections.served = served;
        judge(&measured).unwrap()
    }

    #[test]
    fn fails_if_half_of_the_connections_hang_although_the_others_are_served() {
        let judgement = hanging(40, 4_000, CONNECTIONS);
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(judgement.detail.starts_with("40 of 64 connections"), "{}", judgement.detail);
        assert_eq!(hanging(20, 4_000, CONNECTIONS).verdict, Verdict::Pass);
        assert_eq!(hanging(64, 900, CONNECTIONS).verdict, Verdict::Pass);
    }

    #[test]
    fn connections_that_were_never_served_hang_for_another_check() {
        assert_eq!(hanging(40, 10_000, CONNECTIONS - 40).verdict, Verdict::Pass);
    }

    #[test]
    fn connections_that_are_served_one_after_another_do_not_hang() {
        let mut measured = fixture::closed();
        measured.times.unanswered = times(&[(4_000_000_000, 60)]);
        measured.times.service = times(&[(1_000_000, 1_000), (5_000_000_000, 60)]);
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn does_not_apply_where_nothing_was_answered() {
        let mut measured = fixture::closed();
        fixture::forget_responses(&mut measured);
        assert_eq!(judge(&measured), None);
    }
}
