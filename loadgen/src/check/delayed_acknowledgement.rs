//! `delayed-acknowledgement`: checks that responses do not wait for the kernel between their first
//! and their last byte.
//!
//! A server that writes a response in two pieces with Nagle's algorithm on sends the second piece
//! when the first is acknowledged (RFC 896). The client has nothing to send meanwhile and delays
//! its acknowledgement (RFC 1122, section 4.2.3.2), on Linux by at least 40 ms. Throughput and
//! latency are then those of a timer.

use super::definition::{Check, Judgement, Verdict, percent};
use crate::measurement::Measurement;
use crate::percentile;

pub(super) const CHECK: Check = Check { name: "delayed-acknowledgement", judge };

/// Times from the first byte to the last, in nanoseconds, that a delayed acknowledgement explains:
/// `TCP_DELACK_MIN` of Linux is 40 ms, in ticks of 4 to 10 ms, and a busy machine adds to it.
const WAIT: std::ops::Range<u64> = 36_000_000..60_000_000;

/// Largest body to which the check applies. On a slow network (50 Mbit/s), the transfer of 256 KiB
/// takes about 40 ms; with a larger body, the time may be that of the transfer.
const MAX_BODY_BYTES: u64 = 256 * 1024;

/// The check warns if at least this share of the responses has such a wait. A smaller share may
/// come from a busy machine, which can also stop for that long.
const MIN_SHARE: f64 = 0.2;

/// Quantiles that are compared: the middles of tenths.
const TENTHS: [f64; 10] = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95];

fn judge(measured: &Measurement) -> Option<Judgement> {
    let (service, first_byte) = (&measured.times.service, &measured.times.first_byte);
    if service.is_empty() || first_byte.is_empty() || measured.bodies.longest > MAX_BODY_BYTES {
        return None;
    }
    // Both distributions are of the same requests. The times of first bytes differ little compared
    // with 40 ms, so that the requests are in the same order in both.
    let waits = |quantile: &&f64| {
        let at = |times| percentile::supported(times, **quantile);
        at(service)
            .zip(at(first_byte))
            .is_some_and(|(last, first)| WAIT.contains(&(last.saturating_sub(first))))
    };
    let share = TENTHS.iter().filter(waits).count() as f64 / TENTHS.len() as f64;
    Some(if share >= MIN_SHARE {
        Judgement::new(Verdict::Warn, waiting(share))
    } else {
        Judgement::new(
            Verdict::Pass,
            "responses do not wait about 40 ms between first and last byte".into(),
        )
    })
}

fn waiting(share: f64) -> String {
    format!(
        "{} of responses take about 40 ms from the first byte to the last, as long as an \
         acknowledgement is delayed: if the server writes head and body in two pieces, set \
         TCP_NODELAY there, or write them in one",
        percent(share)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{self, times};

    /// Returns 1000 requests whose first byte comes after `first_ms`; `slow` of them have their
    /// last byte `wait_ms` later.
    fn with(first_ms: u64, slow: u64, wait_ms: u64) -> Measurement {
        let mut measured = fixture::closed();
        let first = first_ms * 1_000_000;
        measured.times.first_byte = times(&[(first, 1000)]);
        measured.times.service =
            times(&[(first + 10_000, 1000 - slow), (first + wait_ms * 1_000_000, slow)]);
        measured
    }

    #[test]
    fn warns_of_responses_that_wait_for_an_acknowledgement() {
        for (slow, share) in [(1000, "100 %"), (300, "30 %"), (200, "20 %")] {
            let judgement = judge(&with(2, slow, 42)).unwrap();
            assert_eq!(judgement.verdict, Verdict::Warn, "{slow}");
            assert!(judgement.detail.starts_with(share), "{}", judgement.detail);
            assert!(judgement.detail.contains("TCP_NODELAY"), "{}", judgement.detail);
        }
    }

    #[test]
    fn passes_responses_that_take_another_time() {
        for measured in [
            with(2, 0, 42),
            with(2, 100, 42),
            with(2, 1000, 10),
            with(2, 1000, 200),
            with(42, 1000, 1),
        ] {
            assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
        }
    }

    #[test]
    fn does_not_apply_to_bodies_that_a_network_may_take_as_long_for() {
        let mut measured = with(2, 1000, 42);
        measured.bodies.longest = 10_000_000;
        assert_eq!(judge(&measured), None);
    }
}
