//! `connections-reused`: checks that connections carried as many requests as the workload says.
//!
//! A server that closes connections after its responses turns persistent connections into short
//! ones, each with a connect that the workload did not ask for.

use super::definition::{Check, Judgement, Verdict, percent};
use crate::measurement::Measurement;
use crate::workload::Lifetime;

pub(super) const CHECK: Check = Check { name: "connections-reused", judge };

/// Share of requests that may need a connection of their own: above 1 in 100, p99 is that of a
/// connect; above 1 in 10, so is the mean, and the workload is a different one.
const WARN_REMADE: f64 = 0.01;
const FAIL_REMADE: f64 = 0.1;

fn judge(measured: &Measurement) -> Option<Judgement> {
    let completed = measured.requests.completed;
    // A connection that is made for one request can't be made too often.
    if completed == 0 || measured.workload.lifetime == Lifetime::SHORT {
        return None;
    }
    let remade = remade(measured);
    let share = remade as f64 / completed as f64;
    let verdict = Verdict::above(share, WARN_REMADE, FAIL_REMADE);
    let detail = if verdict == Verdict::Pass {
        format!("{remade} connections were made again")
    } else {
        let lifetime = measured.workload.lifetime;
        format!(
            "{} of requests needed a connection of their own, {} were opened for {} asked ({lifetime}): the server closes \
             them earlier; have it keep them, or ask for a --lifetime",
            percent(share.min(1.0)),
            measured.connections.opened_total,
            measured.connections.requested
        )
    };
    Some(Judgement::new(verdict, detail))
}

/// Returns the number of connections opened in the measured part beyond those that the workload and
/// the failures require.
fn remade(measured: &Measurement) -> u64 {
    let by_lifetime = match measured.workload.lifetime {
        Lifetime::Persistent => 0,
        Lifetime::Requests(requests) => measured.requests.completed / u64::from(requests.get()),
    };
    let called_for = measured.connections.requested + by_lifetime + measured.requests.failed;
    measured.times.connect.len().saturating_sub(called_for)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;

    /// Judges a closed loop of 10,000 requests over 64 connections, which made this many connects.
    fn with(lifetime: &str, connects: u64) -> Option<Judgement> {
        let mut measured = fixture::closed();
        measured.workload.lifetime = lifetime.parse().unwrap();
        measured.requests.completed = 10_000;
        measured.connections.opened_total = connects;
        measured.times.connect = fixture::times(&[(50_000, connects)]);
        judge(&measured)
    }

    #[test]
    fn passes_when_connections_last_as_long_as_they_should() {
        assert_eq!(with("persistent", 64).unwrap().verdict, Verdict::Pass);
        assert_eq!(with("100", 164).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn passes_a_server_that_closes_after_a_thousand_responses() {
        assert_eq!(with("persistent", 74).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn fails_when_persistent_connections_are_short() {
        let judgement = with("persistent", 10_000).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(
            judgement.detail.starts_with(
                "99 % of requests needed a connection of their own, 10000 were opened for 64"
            ),
            "{}",
            judgement.detail
        );
        assert_eq!(with("persistent", 264).unwrap().verdict, Verdict::Warn);
    }

    #[test]
    fn connections_that_failed_had_to_be_made_again() {
        let mut measured = fixture::closed();
        measured.requests.failed = 5_000;
        measured.times.connect = fixture::times(&[(50_000, 5_000)]);
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn does_not_apply_to_short_connections() {
        assert_eq!(with("short", 10_000), None);
    }
}
