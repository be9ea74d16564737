//! `send-lag`: checks, in an open loop, that little of the latency is the generator's own lateness.
//!
//! Latency begins at the intended send time, so it contains the lag. A lag that is a small part of
//! the latency does no harm. Nor does a lag of requests that the server then answered fast, which
//! does not change the percentile. The check therefore takes the amount by which a percentile of
//! the latency is above that of the time from the actual send on, and no more of it than the lag
//! can explain: the rest is the wait for a connection, which the server causes.

use super::definition::{Check, Judgement, Verdict, percent, time};
use crate::measurement::{Measurement, Times};

pub(super) const CHECK: Check = Check { name: "send-lag", judge };

/// A percentile and its limits for the lag.
struct Claim {
    name: &'static str,
    quantile: f64,
    /// Lag that this generator promises to keep; a smaller one is never a fault.
    lag_ns: u64,
    /// Share of the latency that the generator may cause before the check warns: as much as the
    /// number is uncertain anyway. A median may be off by a change of level that `steady-state`
    /// leaves unnoticed. The p99 of equal runs on two shared processors lay between 3.8 and 6.2 ms.
    warn_share: f64,
}

const CLAIMS: [Claim; 2] = [
    Claim { name: "p50", quantile: 0.5, lag_ns: 5_000, warn_share: 0.25 },
    Claim { name: "p99", quantile: 0.99, lag_ns: 50_000, warn_share: 0.4 },
];

/// Share above which the number says more about the generator than about the server.
const FAIL_SHARE: f64 = 0.5;

fn judge(measured: &Measurement) -> Option<Judgement> {
    measured.workload.pacing.rate()?;
    let latency = &measured.times.latency;
    if measured.times.send_lag.is_empty() || latency.is_empty() {
        return None;
    }
    let mut worst = Verdict::Pass;
    let mut parts = Vec::new();
    for Claim { name, quantile, lag_ns: claim_ns, warn_share } in CLAIMS {
        let lag = lag_ns(measured, quantile);
        let added = added_ns(measured, quantile, lag);
        let share = added as f64 / latency.value_at_quantile(quantile).max(1) as f64;
        if lag > claim_ns {
            worst = worst.max(Verdict::above(share, warn_share, FAIL_SHARE));
        }
        parts.push(format!("{name} {}, adds {} of the latency's", time(lag), percent(share)));
    }
    let mut detail = parts.join("; ");
    if worst != Verdict::Pass {
        detail += ": give the generator a processor of its own (--pin), a longer --spin, or more --threads, \
                   each of which has a queue of its own: where requests wait for a connection, that adds to their latency";
    }
    Some(Judgement::new(worst, detail))
}

/// Returns the most that a lag adds to a quantile of the latency.
fn added_ns(measured: &Measurement, quantile: f64, lag_ns: u64) -> u64 {
    let at = |times: &Times| times.value_at_quantile(quantile);
    let service_ns =
        if measured.times.service.is_empty() { 0 } else { at(&measured.times.service) };
    lag_ns.min(at(&measured.times.latency).saturating_sub(service_ns))
}

/// Returns a quantile of the generator's lateness. Its histogram holds only requests that found a
/// connection free: when the generator itself stands still, these are the first few of the requests
/// that were due meanwhile. The others wait in the backlog, through no fault of the server.
/// Requests that are due while the generator stands still for D are late by values spread evenly up
/// to D, so in a run of length T the q-quantile is at least D − (1 − q)·T.
fn lag_ns(measured: &Measurement, quantile: f64) -> u64 {
    let lag = &measured.times.send_lag;
    let beyond_ns = (1.0 - quantile) * measured.duration.as_nanos() as f64;
    lag.value_at_quantile(quantile).max((lag.max() as f64 - beyond_ns) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{self, times};
    use crate::workload::Arrivals;

    /// Judges an open loop that sends most requests with the first lag and every twentieth with the
    /// second. The server takes 1 ms for each.
    fn with_lag(most_ns: u64, every_twentieth_ns: u64) -> Judgement {
        let mut measured = fixture::open(Arrivals::Constant);
        let lags = [(most_ns, 9_500), (every_twentieth_ns, 500)];
        measured.times.service = times(&[(1_000_000, 10_000)]);
        measured.times.send_lag = times(&lags);
        measured.times.latency = times(&lags.map(|(lag_ns, count)| (1_000_000 + lag_ns, count)));
        judge(&measured).unwrap()
    }

    #[test]
    fn passes_when_it_is_a_small_part_of_the_latency() {
        let judgement = with_lag(20_000, 80_000);
        assert_eq!(judgement.verdict, Verdict::Pass);
        assert_eq!(
            judgement.detail,
            "p50 20.0 µs, adds 2.0 % of the latency's; p99 80.1 µs, adds 7.4 % of the latency's"
        );
    }

    #[test]
    fn warns_when_it_blurs_a_percentile() {
        assert_eq!(with_lag(500_000, 500_000).verdict, Verdict::Warn);
        assert_eq!(with_lag(2_000, 800_000).verdict, Verdict::Warn);
    }

    #[test]
    fn fails_when_a_percentile_is_mostly_lag() {
        assert_eq!(with_lag(1_600_000, 1_600_000).verdict, Verdict::Fail);
        assert_eq!(with_lag(2_000, 2_000_000).verdict, Verdict::Fail);
    }

    #[test]
    fn passes_a_lag_of_other_requests_than_the_slow_ones() {
        let mut measured = fixture::open(Arrivals::Constant);
        measured.times.service = times(&[(100_000, 9_800), (4_000_000, 200)]);
        measured.times.latency = times(&[(105_000, 9_600), (3_000_000, 200), (4_010_000, 200)]);
        measured.times.send_lag = times(&[(5_000, 9_800), (2_900_000, 200)]);
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn passes_a_lag_that_the_generator_promises_for_any_server() {
        let mut measured = fixture::open(Arrivals::Constant);
        measured.times.latency = times(&[(8_000, 10_000)]);
        measured.times.service = times(&[(3_500, 10_000)]);
        measured.times.send_lag = times(&[(4_500, 10_000)]);
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn a_generator_that_stood_still_cannot_blame_the_queue_on_the_server() {
        // The generator stood still for half a second of ten, with 500 requests due and 16
        // connections to send them on.
        let mut measured = fixture::open(Arrivals::Constant);
        measured.times.send_lag = times(&[(2_000, 9_500), (500_000_000, 16)]);
        measured.times.latency = times(&[(60_000, 9_500), (450_000_000, 500)]);
        measured.times.service = times(&[(58_000, 10_000)]);
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(
            judgement.detail.contains("p99 400.2 ms, adds 89 % of the latency's"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn does_not_apply_to_a_closed_loop() {
        assert_eq!(judge(&fixture::closed()), None);
    }
}
