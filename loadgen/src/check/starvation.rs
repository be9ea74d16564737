//! `starvation`: whether the connections that were asked for took part, and alike.
//!
//! Unfairness is a result, not a fault of the measurement, but percentiles hide it: they are of requests, and who is
//! starved sends few. A workload of many connections that few took part in, though, is another workload.

use super::{Check, Judgement, Verdict};
use crate::measurement::{Fairness, Measurement};
use crate::workload::{Pacing, Until};

pub(super) const CHECK: Check = Check { name: "starvation", judge };

/// Below it, a result "at 1000 connections" is one at fewer than 900.
const MIN_ESTABLISHED_SHARE: f64 = 0.9;

/// Jain's index below which connections are called unequal; 0.9 is a coefficient of variation of a third.
const MIN_JAIN: f64 = 0.9;

/// Ratio of the most to the least served connection above which they are called unequal.
const MAX_RATIO: f64 = 10.0;

/// Answers per connection from which unfairness is told from chance: Poisson counts of mean m have an index of m / (m + 1),
/// 0.99 here, and differ by less than a factor of 3.
const MIN_ANSWERS: u64 = 100;

fn judge(measured: &Measurement) -> Option<Judgement> {
    let connections = measured.connections;
    if connections.requested == 0 {
        return None;
    }
    let mut found = Vec::new();
    let mut verdict = Verdict::Pass;
    let mut tell = |told: Verdict, detail: String| {
        verdict = verdict.max(told);
        found.push(detail);
    };
    if connections.established < connections.requested {
        let share = connections.established as f64 / connections.requested as f64;
        let told = if share < MIN_ESTABLISHED_SHARE { Verdict::Fail } else { Verdict::Warn };
        tell(
            told,
            format!("{} of {} connections were established", connections.established, connections.requested),
        );
    }
    let idle = measured.workload.idle as u64;
    if connections.idle_established < idle {
        let share = connections.idle_established as f64 / idle as f64;
        let told = if share < MIN_ESTABLISHED_SHARE { Verdict::Fail } else { Verdict::Warn };
        tell(told, format!("{} of {idle} idle connections were established", connections.idle_established));
    }
    if connections.starved > 0 && everyone_had_a_turn(measured) {
        tell(Verdict::Warn, format!("{} connections never had an answer", connections.starved));
    }
    if let Some(detail) = unfairness(measured.fairness) {
        tell(Verdict::Warn, detail);
    }
    if found.is_empty() {
        found.push(format!("{} of {} connections were served", connections.served, connections.requested));
    }
    Some(Judgement::new(verdict, found.join("; ")))
}

/// Whether there were requests for all connections, so that one without an answer is the server's doing.
fn everyone_had_a_turn(measured: &Measurement) -> bool {
    let closed =
        matches!((measured.workload.pacing, measured.workload.until), (Pacing::Closed, Until::Elapsed(_)));
    closed || measured.requests.intended >= 2 * measured.connections.requested
}

fn unfairness(Fairness { min, median, max, jain }: Fairness) -> Option<String> {
    let ratio = max as f64 / min.max(1) as f64;
    (median >= MIN_ANSWERS && (jain < MIN_JAIN || ratio > MAX_RATIO)).then(|| {
        format!(
            "answers per connection range from {min} to {max}, median {median}; Jain's index is {jain:.2}, and 1 when even"
        )
    })
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
    }

    #[test]
    fn warns_of_connections_without_an_answer() {
        let mut measured = fixture::closed();
        measured.connections.served = 60;
        measured.connections.starved = 4;
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert_eq!(judgement.detail, "4 connections never had an answer");
    }

    #[test]
    fn connections_that_had_nothing_to_send_are_not_starved() {
        let mut measured = fixture::closed();
        measured.workload.until = Until::Requests(10);
        measured.requests.intended = 10;
        measured.connections.served = 10;
        measured.connections.starved = 54;
        measured.fairness = Fairness { min: 0, median: 0, max: 1, jain: 0.16 };
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn warns_when_few_could_not_be_established_and_fails_when_many() {
        let mut measured = fixture::closed();
        measured.connections.established = 63;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Warn);
        measured.connections.established = 50;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn idle_connections_count_as_well() {
        let mut measured = fixture::closed();
        measured.workload.idle = 1000;
        measured.connections.idle_established = 1000;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
        measured.connections.idle_established = 500;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Fail);
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
