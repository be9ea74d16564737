//! `littles-law`: checks that, in a closed loop, throughput × mean latency is the number of
//! connections that were at work (Little 1961, "A proof for the queuing formula L = λW").
//!
//! A connection of a closed loop is never idle: it has a request from the moment at which it
//! becomes free, and latency begins at that moment, connects included. The law is therefore an
//! accounting identity of the generator: time that is missing is in no latency, and time in excess
//! was counted twice.

use super::definition::{Check, Judgement, Verdict};
use crate::measurement::{Measurement, Times};
use crate::workload::{Pacing, Until};

pub(super) const CHECK: Check = Check { name: "littles-law", judge };

/// Deviation that is allowed beyond the edges of the run: times are kept to 0.1 %, and workers
/// notice the end up to a tick (10 ms) late.
const TOLERANCE: f64 = 0.02;

/// Largest share of the run that one request may take; above it, the edges of the run hide any
/// violation of the law.
const MAX_EDGE: f64 = 0.5;

fn judge(measured: &Measurement) -> Option<Judgement> {
    // A run over a number of requests ends with connections that have nothing left to do.
    let (Pacing::Closed, Until::Elapsed(_)) = (measured.workload.pacing, measured.workload.until)
    else {
        return None;
    };
    let run_ns = measured.duration.as_nanos() as f64;
    let connections = measured.connections;
    if measured.times.service.is_empty() || connections.established == 0 || run_ns == 0.0 {
        return None;
    }
    let edge = longest_ns(measured) / run_ns;
    if edge > MAX_EDGE {
        return None;
    }
    let at_work = time_within(&measured.times.latency, run_ns) / run_ns;
    // A connection that was never established waits for its first request. The end of the run
    // decides if that wait is among the latencies.
    let expected = at_work.clamp(connections.established as f64, connections.requested as f64);
    let deviation = at_work / expected - 1.0;
    let verdict = match deviation {
        _ if deviation.abs() <= TOLERANCE + edge => Verdict::Pass,
        // The duration of a failed request is not known, nor is the time for which no connection
        // could be made.
        _ if deviation < 0.0 && has_untimed_failures(measured) => Verdict::Warn,
        _ => Verdict::Fail,
    };
    let mut detail = format!("throughput × latency ≈ {at_work:.1} of {expected:.0}");
    if verdict != Verdict::Pass {
        detail += ", more than the edges of the run explain: the latencies do not tell where the time went";
    }
    Some(Judgement::new(verdict, detail))
}

/// Returns the longest time of a request, which is the length of an edge of the run. A request that
/// began before the measured part counts with its whole time, and one that is in flight at the end
/// may not be counted: at most one request per connection at either edge. The latencies can't be
/// used for this, because they contain the ages of requests without a response.
fn longest_ns(measured: &Measurement) -> f64 {
    let connect = &measured.times.connect;
    let connect_ns = if connect.is_empty() { 0 } else { connect.max() };
    let answer_ns = (measured.times.service.max() + connect_ns) as f64;
    let gave_up = measured.errors.timeout > 0;
    if gave_up { answer_ns.max(measured.workload.timeout.as_nanos() as f64) } else { answer_ns }
}

/// Returns the sum of all times. A time that is longer than the run, such as the age of a request
/// that was never answered, began before the run and counts as its length.
fn time_within(times: &Times, run_ns: f64) -> f64 {
    let time = |ns: u64| (times.median_equivalent(ns) as f64).min(run_ns);
    times
        .iter_recorded()
        .map(|value| time(value.value_iterated_to()) * value.count_at_value() as f64)
        .sum()
}

fn has_untimed_failures(measured: &Measurement) -> bool {
    measured.errors.total() > measured.errors.timeout
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::fixture::{self, CONNECTIONS, SECONDS, batch};
    use crate::measurement::Errors;
    use crate::workload::Arrivals;

    #[test]
    fn passes_when_every_connection_was_at_work() {
        let judgement = judge(&fixture::closed()).unwrap();
        assert_eq!(judgement.verdict, Verdict::Pass);
        assert_eq!(judgement.detail, "throughput × latency ≈ 64.0 of 64");
    }

    #[test]
    fn fails_when_time_is_missing() {
        let mut measured = fixture::closed();
        fixture::set_batches(
            &mut measured,
            vec![batch(CONNECTIONS * 900, 1_000_000); SECONDS as usize],
        );
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn fails_when_time_is_counted_twice() {
        let mut measured = fixture::closed();
        fixture::set_batches(
            &mut measured,
            vec![batch(CONNECTIONS * 1000, 1_100_000); SECONDS as usize],
        );
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn only_warns_of_missing_time_when_requests_failed_in_an_unknown_time() {
        let mut measured = fixture::closed();
        fixture::set_batches(
            &mut measured,
            vec![batch(CONNECTIONS * 900, 1_000_000); SECONDS as usize],
        );
        measured.errors = Errors { reset: 3, ..Errors::default() };
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Warn);
    }

    #[test]
    fn counts_the_time_of_requests_that_timed_out() {
        let mut measured = fixture::closed();
        fixture::set_batches(
            &mut measured,
            vec![batch(CONNECTIONS * 700, 1_000_000); SECONDS as usize],
        );
        // Three tenths of 64 connections for 10 seconds.
        measured.workload.timeout = Duration::from_secs(1);
        measured.errors = Errors { timeout: 192, ..Errors::default() };
        measured.times.latency.record_n(1_000_000_000, 192).unwrap();
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn counts_the_time_of_requests_that_hang_at_the_end() {
        let mut measured = fixture::closed();
        fixture::set_batches(
            &mut measured,
            vec![batch((CONNECTIONS - 8) * 1000, 1_000_000); SECONDS as usize],
        );
        // Eight of the connections never had a response, the warm-up included.
        measured.times.latency.record_n(11_000_000_000, 8).unwrap();
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn connections_that_were_never_established_may_or_may_not_count() {
        let mut measured = fixture::closed();
        measured.connections.established = 50;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
        fixture::set_batches(&mut measured, vec![batch(50_000, 1_000_000); SECONDS as usize]);
        assert_eq!(judge(&measured).unwrap().detail, "throughput × latency ≈ 50.0 of 50");
    }

    #[test]
    fn does_not_fail_a_server_with_few_and_long_requests() {
        // Each connection finished four requests of 3 s within 10 s, because the first of them
        // began earlier.
        let mut measured = fixture::closed();
        let mut batches = vec![batch(0, 1); SECONDS as usize];
        batches[3] = batch(4 * CONNECTIONS, 3_000_000_000);
        fixture::set_batches(&mut measured, batches);
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn does_not_apply_to_an_open_loop_a_number_of_requests_or_one_request_per_run() {
        assert_eq!(judge(&fixture::open(Arrivals::Constant)), None);
        let mut measured = fixture::closed();
        measured.workload.until = Until::Requests(10);
        assert_eq!(judge(&measured), None);
        fixture::set_batches(&mut measured, vec![batch(64, 8_000_000_000)]);
        measured.workload.until = Until::Elapsed(Duration::from_secs(10));
        assert_eq!(judge(&measured), None);
    }
}
