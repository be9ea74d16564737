//! `starvation`: checks that all requested connections took part, and had equal shares.
//!
//! Unequal numbers of responses per connection are a result. Percentiles hide it, because they
//! count requests, and a connection that is rarely served sends few. A connection without a single
//! response is worse: the numbers are then those of a workload with fewer connections than
//! requested.

use super::definition::{Check, Effect, Judgement, Verdict};
use crate::measurement::{Fairness, Measurement};

pub(super) const CHECK: Check = Check { name: "starvation", judge };

/// Share of the connections that may be without a response before the result is that of another
/// workload: 1 in 100 changes the numbers by less than the differences between servers that count.
const MAX_UNSERVED_SHARE: f64 = 0.01;

/// Jain's index below which connections are called unequal; 0.9 is a coefficient of variation of a
/// third.
const MIN_JAIN: f64 = 0.9;

/// Ratio of the most to the least served connection above which they are called unequal.
const MAX_RATIO: f64 = 10.0;

/// Fewest responses per connection for which unequal shares can be distinguished from chance:
/// Poisson counts of mean m have an index of m / (m + 1), 0.99 here, and differ by less than a
/// factor of 3.
const MIN_RESPONSES: u64 = 100;

fn judge(measured: &Measurement) -> Option<Judgement> {
    let connections = measured.connections;
    if connections.requested == 0 {
        return None;
    }
    let unserved = unserved(measured);
    // If some connections were never served, the shares are unequal in any case.
    let unequal = unfairness(measured.fairness).filter(|_| unserved.is_none());
    let found = [unserved.clone(), unanswered_idle(measured), unequal];
    let (verdicts, details) = found.into_iter().flatten().unzip::<_, _, Vec<_>, Vec<_>>();
    let Some(verdict) = verdicts.into_iter().max() else {
        let detail =
            format!("{} of {} connections were served", connections.served, connections.requested);
        return Some(Judgement::new(Verdict::Pass, detail));
    };
    let judgement = Judgement::new(verdict, details.join("; "));
    Some(match unserved {
        Some(_) => judgement.with_effect(Effect::ServedConnectionsOnly),
        None => judgement,
    })
}

/// Fault in one respect: its weight and its description.
type Finding = (Verdict, String);

/// Reports connections that were asked for and never had a response, whether they could be made or
/// not.
fn unserved(measured: &Measurement) -> Option<Finding> {
    let connections = measured.connections;
    let asked = connections.requested;
    // A connection that never had a request to send can't starve.
    let unserved = asked.saturating_sub(connections.served + connections.never_asked);
    if unserved == 0 {
        return None;
    }
    let unmade = match unserved.saturating_sub(connections.starved) {
        0 => String::new(),
        unmade => format!(", {unmade} of them could not be made"),
    };
    Some((verdict(unserved, asked), format!("{asked} requested, {unserved} never served{unmade}")))
}

/// Reports idle connections without a response: they are not like those of a client that has had a
/// response.
fn unanswered_idle(measured: &Measurement) -> Option<Finding> {
    let asked = measured.workload.idle as u64;
    let answered = measured.connections.idle_answered;
    let unanswered = asked.saturating_sub(answered);
    let detail = || format!("{answered} of {asked} idle connections were answered");
    (unanswered > 0).then(|| (verdict(unanswered, asked), detail()))
}

fn verdict(without: u64, asked: u64) -> Verdict {
    Verdict::above(without as f64 / asked as f64, 0.0, MAX_UNSERVED_SHARE)
}

/// Reports responses per connection that differ by more than chance.
fn unfairness(Fairness { min, median, max, jain }: Fairness) -> Option<Finding> {
    let ratio = max as f64 / min.max(1) as f64;
    let detail = || {
        format!(
            "responses per connection range from {min} to {max}, median {median}; Jain's index is \
             {jain:.2}, and 1 when even"
        )
    };
    (median >= MIN_RESPONSES && (jain < MIN_JAIN || ratio > MAX_RATIO))
        .then(|| (Verdict::Warn, detail()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;

    #[test]
    fn passes_when_all_were_served_alike() {
        let judgement = judge(&fixture::closed()).unwrap();
        assert_eq!(judgement.verdict, Verdict::Pass);
        assert_eq!(judgement.detail, "64 of 64 connections were served");
        assert_eq!(judgement.effect, None);
    }

    /// Returns a closed loop over `asked` connections, `starved` of which never had a response.
    fn starved(asked: u64, starved: u64) -> Measurement {
        let mut measured = fixture::closed();
        measured.connections.requested = asked;
        measured.connections.established = asked;
        measured.connections.served = asked - starved;
        measured.connections.starved = starved;
        measured
    }

    #[test]
    fn fails_when_more_than_one_in_a_hundred_never_had_a_response() {
        let judgement = judge(&starved(512, 101)).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert_eq!(judgement.detail, "512 requested, 101 never served");
        assert_eq!(judge(&starved(64, 1)).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn does_not_judge_the_shares_of_connections_without_requests() {
        let mut measured = starved(512, 101);
        measured.fairness = Fairness { min: 0, median: 1000, max: 1200, jain: 0.8 };
        assert_eq!(judge(&measured).unwrap().detail, "512 requested, 101 never served");
    }

    #[test]
    fn warns_of_up_to_one_in_a_hundred() {
        assert_eq!(judge(&starved(200, 2)).unwrap().verdict, Verdict::Warn);
        assert_eq!(judge(&starved(200, 3)).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn numbers_of_a_run_with_unserved_connections_are_of_those_that_were_served() {
        for count in [1, 50] {
            let effect = judge(&starved(200, count)).unwrap().effect;
            assert_eq!(effect, Some(Effect::ServedConnectionsOnly));
        }
    }

    #[test]
    fn connections_that_had_nothing_to_send_are_not_starved() {
        let mut measured = starved(64, 54);
        measured.connections.starved = 0;
        measured.connections.never_asked = 54;
        measured.fairness = Fairness { min: 0, median: 0, max: 1, jain: 0.16 };
        // These connections are not even made.
        measured.connections.established = 10;
        let judgement = judge(&measured).unwrap();
        assert_eq!((judgement.verdict, judgement.effect), (Verdict::Pass, None));
    }

    #[test]
    fn a_starved_connection_is_reported_beside_those_that_had_nothing_to_send() {
        let mut measured = starved(64, 58);
        measured.connections.starved = 4;
        measured.connections.never_asked = 54;
        measured.connections.established = 10;
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert_eq!(judgement.detail, "64 requested, 4 never served");
    }

    #[test]
    fn connections_that_could_not_be_made_were_not_served_either() {
        let mut measured = starved(200, 2);
        measured.connections.established = 199;
        measured.connections.starved = 1;
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert_eq!(judgement.detail, "200 requested, 2 never served, 1 of them could not be made");
    }

    #[test]
    fn idle_connections_without_a_response_count_as_well() {
        let mut measured = fixture::closed();
        measured.workload.idle = 1000;
        measured.connections.idle_answered = 1000;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
        measured.connections.idle_answered = 990;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Warn);
        measured.connections.idle_answered = 4;
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert_eq!(judgement.detail, "4 of 1000 idle connections were answered");
        // The percentiles describe only the other connections in any case.
        assert_eq!(judgement.effect, None);
    }

    #[test]
    fn reports_everything_that_it_found() {
        let mut measured = starved(64, 4);
        measured.workload.idle = 10;
        let detail = judge(&measured).unwrap().detail;
        assert_eq!(detail, "64 requested, 4 never served; 0 of 10 idle connections were answered");
    }

    #[test]
    fn warns_of_unequal_shares_and_not_of_chance() {
        let mut measured = fixture::closed();
        measured.fairness = Fairness { min: 100, median: 1000, max: 9000, jain: 0.6 };
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Warn);
        measured.fairness = Fairness { min: 0, median: 2, max: 6, jain: 0.6 };
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }
}
