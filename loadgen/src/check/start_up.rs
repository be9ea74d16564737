//! `start-up`: checks that the server had started the process or thread of each connection before
//! the measured part.
//!
//! A model that makes a process or a thread for a connection is given time for that: every
//! connection sends one request, and no other request is sent, until all are answered or no further
//! one has been answered for a second. Then the warm-up begins. A connection that has its first
//! response only within the measured part brings its start into the results: its latency is the
//! length of the start-up, and the load grows while it is measured. `starvation` reports a
//! connection that never has a response.

use super::definition::{Check, Effect, Judgement, Verdict};
use crate::measurement::{Measurement, StartUp};
use crate::worker::NEXT_FIRST_RESPONSE;
use crate::workload::Pacing;

pub(super) const CHECK: Check = Check { name: "start-up", judge };

/// Share of the connections that may start within the measured part: the same as the share that may
/// be without a response.
const MAX_LATE_SHARE: f64 = 0.01;

fn judge(measured: &Measurement) -> Option<Judgement> {
    if measured.workload.pacing != Pacing::Closed || measured.times.service.is_empty() {
        return None;
    }
    let asked = measured.connections.requested;
    let StartUp { unserved, served_later, .. } = measured.start_up;
    if unserved == 0 {
        let detail = format!("all of {asked} connections were served before the measured part");
        return Some(Judgement::new(Verdict::Pass, detail));
    }
    let mut detail =
        format!("the warm-up ended with {unserved} of {asked} connections never served");
    if served_later == 0 {
        return Some(
            Judgement::new(Verdict::Warn, detail).with_effect(Effect::ServedConnectionsOnly),
        );
    }
    detail += &format!(
        ", and {served_later} of them were served within the measured part, which then contains \
         their start: use a longer --warmup"
    );
    // If every response takes longer than the wait for the first ones, there is nothing to start.
    let is_slow = u128::from(measured.times.service.min()) > NEXT_FIRST_RESPONSE.as_nanos();
    let fail = if is_slow { f64::INFINITY } else { MAX_LATE_SHARE };
    Some(Judgement::new(Verdict::above(served_later as f64 / asked as f64, 0.0, fail), detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;
    use crate::workload::Arrivals;

    fn with(unserved: u64, served_later: u64) -> Judgement {
        let mut measured = fixture::closed();
        measured.connections.requested = 512;
        measured.start_up = StartUp { took_s: 2.0, unserved, served_later };
        judge(&measured).unwrap()
    }

    #[test]
    fn passes_when_every_connection_was_served_before() {
        assert_eq!(with(0, 0).verdict, Verdict::Pass);
    }

    #[test]
    fn says_how_many_were_never_served() {
        let judgement = with(101, 0);
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert_eq!(judgement.detail, "the warm-up ended with 101 of 512 connections never served");
    }

    #[test]
    fn fails_when_the_measured_part_holds_the_start_of_many() {
        assert_eq!(with(101, 3).verdict, Verdict::Warn);
        let judgement = with(101, 60);
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(
            judgement.detail.contains("60 of them were served within the measured part"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn a_server_whose_responses_take_seconds_has_nothing_to_start() {
        let mut measured = fixture::closed();
        measured.start_up = StartUp { took_s: 2.0, unserved: 64, served_later: 64 };
        measured.times.service = fixture::times(&[(2_000_000_000, 100)]);
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Warn);
    }

    #[test]
    fn does_not_apply_to_an_open_loop() {
        assert_eq!(judge(&fixture::open(Arrivals::Constant)), None);
    }
}
