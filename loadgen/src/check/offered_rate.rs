//! `offered-rate`: checks, in an open loop, that as many requests as offered were scheduled, sent
//! and answered.
//!
//! Past the knee, the queue and with it the percentiles grow for as long as the run lasts: they
//! then describe the length of the run, and no property of the server. The results of such a run
//! are its throughput and its errors.
//!
//! The generator's time decides which side can't keep up. A worker that had hardly any time to
//! spare, was kept from its processor, or was given a rate that no worker can send, says nothing
//! about the server.
//!
//! The generator waits up to a second for the last responses of an open loop. A server that needs
//! that second to clear its queue is too slow for the rate, although it answered everything: in a
//! short run it would seem to keep up.

use super::definition::{Check, Effect, Judgement, Verdict, percent};
use super::generator_cpu_wait;
use crate::measurement::Measurement;
use crate::workload::Until;

pub(super) const CHECK: Check = Check { name: "offered-rate", judge };

/// Shares of the requests that may have no response. If one in a hundred has none, p99 is an age at
/// the end of the run; one in twenty means a queue that grows.
const WARN_MISSING: f64 = 0.01;
const FAIL_MISSING: f64 = 0.05;

/// Standard deviations by which the number of Poisson arrivals may differ from its expectation:
/// chance exceeds this once in 16,000 runs.
const CHANCE: f64 = 4.0;

/// Share of their time that workers are busy, above which the generator is too slow for the rate.
/// The server may be too slow as well: a queue grows at the side that has no time left.
const BUSY: f64 = 0.85;

/// Requests per second that no worker can send: the write and the read of one request alone take a
/// microsecond.
const MAX_RPS_PER_THREAD: f64 = 1e6;

/// Median latency, in units of the median service time, above which the queue dominates. Below it,
/// late responses come from a stall at the end, which is no overload.
const LONG_LINE: f64 = 2.0;

fn judge(measured: &Measurement) -> Option<Judgement> {
    let offered_rps = measured.workload.pacing.rate()?;
    let requests = measured.requests;
    let duration_s = measured.duration.as_secs_f64();
    if duration_s == 0.0 {
        return None;
    }
    let (expected, unit) = match measured.workload.until {
        Until::Elapsed(_) | Until::Told => (offered_rps * duration_s, "called for"),
        // The last responses take their time, too: the service time of one request is no shortfall.
        Until::Requests(_) => {
            (offered_rps * (duration_s - service_s(measured)).max(0.0), "reached")
        }
    };
    let called_for = requests.intended as f64;
    let allowed = CHANCE * expected.sqrt().max(1.0) + WARN_MISSING * expected;
    if (called_for - expected).abs() > allowed {
        let rate = called_for * offered_rps / expected.max(f64::MIN_POSITIVE);
        let detail = format!("{rate:.1} of {offered_rps} requests/s offered were {unit}");
        // A request that the schedule did not call for was never sent and waits in no queue: no
        // other number would show it.
        return Some(Judgement::new(Verdict::Fail, detail));
    }
    if requests.intended == 0 {
        // A request that the schedule never called for can't be left behind.
        return None;
    }
    let late = answered_behind(measured, offered_rps) / called_for;
    let answered = (requests.completed + requests.failed) as f64 / called_for;
    let sent = requests.sent as f64 / called_for;
    let verdict = Verdict::above(1.0 - answered + late, WARN_MISSING, FAIL_MISSING);
    let mut detail = format!(
        "{} of {} requests were sent, {} answered",
        percent(sent),
        requests.intended,
        percent(answered)
    );
    if late > 0.0 {
        detail += &format!(", {} only after the measured part", percent(late));
    }
    if verdict == Verdict::Pass {
        return Some(Judgement::new(verdict, detail));
    }
    if let Some(reason) = limit_of_generator(measured, offered_rps) {
        let next = "offer less, or use more --threads: this says nothing about the server";
        detail += &format!(": the generator can't keep up with its own schedule, {reason}; {next}");
        return Some(Judgement::new(verdict, detail).with_effect(Effect::ThroughputIsABound));
    }
    let connections = measured.workload.connections;
    detail += &format!(
        ": {offered_rps} requests/s are more than the server handles on {connections} connections, \
         and latency grows with the length of the run"
    );
    Some(Judgement::new(verdict, detail))
}

/// Returns the reason why the generator can't keep up with the rate; `None` if it is the server.
fn limit_of_generator(measured: &Measurement, offered_rps: f64) -> Option<String> {
    let threads = measured.generator.threads as f64;
    let busy = 1.0 - measured.idle.as_secs_f64() / (measured.duration.as_secs_f64() * threads);
    if offered_rps > MAX_RPS_PER_THREAD * threads {
        Some(format!("no thread of it sends more than {MAX_RPS_PER_THREAD} requests/s"))
    } else if generator_cpu_wait::was_kept_from_running(measured) {
        Some("it was kept from its processors".into())
    } else if busy >= BUSY {
        Some(format!("its threads were busy for {} of the time", percent(busy)))
    } else {
        None
    }
}

/// Returns the number of requests that were still in a queue at the end of the measured part,
/// without those that are always in flight.
fn answered_behind(measured: &Measurement, offered_rps: f64) -> f64 {
    let latency_s = measured.times.latency.value_at_quantile(0.5) as f64 / 1e9;
    if latency_s <= LONG_LINE * service_s(measured) {
        return 0.0;
    }
    (measured.requests.answered_after_end as f64 - offered_rps * service_s(measured)).max(0.0)
}

/// Returns the median service time.
fn service_s(measured: &Measurement) -> f64 {
    measured.times.service.value_at_quantile(0.5) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::fixture;
    use crate::measurement::Requests;
    use crate::workload::{Arrivals, Pacing};

    fn with_responses(completed: u64) -> Judgement {
        let mut measured = fixture::open(Arrivals::Constant);
        measured.requests.completed = completed;
        measured.requests.sent = completed + 64;
        judge(&measured).unwrap()
    }

    #[test]
    fn a_rate_so_low_that_nothing_was_due_is_no_shortfall() {
        let mut measured = fixture::open(Arrivals::Constant);
        measured.workload.pacing = Pacing::Open {
            rate: 0.01,
            arrivals: Arrivals::Constant,
            seed: 1,
            spin: Duration::ZERO,
        };
        measured.requests = Requests::default();
        assert_eq!(judge(&measured), None);
    }

    #[test]
    fn passes_when_all_are_answered() {
        assert_eq!(judge(&fixture::open(Arrivals::Constant)).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn warns_when_a_few_are_left_and_fails_when_the_queue_grows() {
        assert_eq!(with_responses(9950).verdict, Verdict::Pass);
        assert_eq!(with_responses(9850).verdict, Verdict::Warn);
        let judgement = with_responses(7000);
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(judgement.detail.starts_with("71 % of 10000 requests were sent, 70 % answered"));
    }

    #[test]
    fn blames_the_side_that_has_no_time_left_for_the_rate() {
        let said = |idle_s, rate| {
            let mut measured = fixture::open(Arrivals::Constant);
            measured.idle = Duration::from_secs(idle_s);
            let pacing =
                Pacing::Open { rate, arrivals: Arrivals::Constant, seed: 1, spin: Duration::ZERO };
            measured.workload.pacing = pacing;
            measured.requests.intended = (rate * 10.0) as u64;
            judge(&measured).unwrap().detail
        };
        assert!(
            said(5, 2000.0)
                .contains("2000 requests/s are more than the server handles on 64 connections")
        );
        let busy = said(1, 2000.0);
        assert!(
            busy.contains("the generator can't keep up") && busy.contains("busy for 90 %"),
            "{busy}"
        );
        // A generator with time to spare: its queue was full, and it did not have to take the rest
        // from the schedule.
        assert!(said(9, 1e7).contains("no thread of it sends more than 1000000 requests/s"));
    }

    #[test]
    fn a_generator_that_a_quota_holds_back_says_nothing_about_the_server() {
        let mut measured = fixture::open(Arrivals::Constant);
        measured.requests.completed = 7000;
        measured.idle = Duration::from_secs(9);
        measured.generator.throttled_s = Some(3.0);
        measured.generator_cpus = vec![0];
        let detail = judge(&measured).unwrap().detail;
        assert!(
            detail.contains("it was kept from its processors") && !detail.contains("serves"),
            "{detail}"
        );
    }

    #[test]
    fn fails_when_the_backlog_was_answered_only_after_the_end() {
        let mut measured = fixture::open(Arrivals::Constant);
        measured.requests.answered_after_end = 3_000;
        // If the median latency is the service time, late responses come from a stall at the end.
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
        measured.times.latency = fixture::times(&[(200_000_000, 10_000)]);
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(
            judgement.detail.contains("100 % answered, 30 % only after"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn a_failed_request_counts_as_answered() {
        let mut measured = fixture::open(Arrivals::Constant);
        measured.requests.completed = 8000;
        measured.requests.failed = 2000;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn fails_when_the_schedule_was_not_kept() {
        let mut measured = fixture::open(Arrivals::Constant);
        measured.duration = Duration::from_secs(11);
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert_eq!(judgement.detail, "909.1 of 1000 requests/s offered were called for");
    }

    #[test]
    fn chance_in_poisson_arrivals_is_no_fault() {
        let mut measured = fixture::open(Arrivals::Poisson);
        for intended in [9_700, 10_300] {
            measured.requests.intended = intended;
            measured.requests.completed = intended;
            measured.requests.sent = intended;
            assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
        }
    }

    #[test]
    fn a_number_of_requests_that_takes_too_long_fails() {
        let mut measured = fixture::open(Arrivals::Constant);
        measured.workload.until = Until::Requests(10_000);
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
        measured.duration = Duration::from_secs(20);
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn does_not_apply_to_a_closed_loop() {
        assert_eq!(judge(&fixture::closed()), None);
    }
}
