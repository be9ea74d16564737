//! Values and doubts of the rounds of a cell, or of one round alone.

use std::collections::BTreeMap;

use c10k_loadgen::check::Effect;
use c10k_loadgen::summary::Summary;

use super::doubt::{DOUBTS, Doubt};
use crate::metric::Metric;
use crate::record::{Outcome, Record};
use crate::statistics::lead::Contender;
use crate::statistics::spread::{Spread, Value};

/// The rounds that ran to their end, with what the generator saw.
pub fn measured(records: &[Record]) -> impl Iterator<Item = (&Record, &Summary)> {
    records.iter().filter_map(|record| match &record.outcome {
        Outcome::Measured(summary) => Some((record, &**summary)),
        Outcome::Failed(_) => None,
    })
}

/// The rounds that did not, each with its error in a line.
pub fn failures(records: &[Record]) -> impl Iterator<Item = (&Record, &str)> {
    records.iter().filter_map(|record| match &record.outcome {
        Outcome::Failed(error) => Some((record, error.as_str())),
        Outcome::Measured(_) => None,
    })
}

/// The value of `metric` over the rounds that have one.
pub fn value(records: &[Record], metric: &Metric) -> Option<Value> {
    let Contender { rounds, at_least } = contender(records, metric);
    let spread = Spread::of(&rounds.into_values().collect::<Vec<_>>())?;
    Some(Value { spread, at_least })
}

/// The value of `metric` in each round that has one; in none where it has to be of every round, and
/// is not.
pub fn contender(records: &[Record], metric: &Metric) -> Contender {
    let of = |record: &Record| Some((record.round, *record.metrics.get(metric.key)?));
    let mut rounds: BTreeMap<u32, f64> = measured(records).filter_map(|(record, _)| of(record)).collect();
    if metric.of_every_round && rounds.len() < measured(records).count() {
        rounds.clear();
    }
    Contender {
        rounds,
        // The median of rounds of which one is a bound may lie above, too.
        at_least: metric
            .bound
            .is_some_and(|bound| measured(records).any(|(record, _)| (bound.applies)(record))),
    }
}

/// Why the numbers cannot be compared with those of other cells; empty where they can.
pub fn doubts(records: &[Record]) -> Vec<Doubt> {
    DOUBTS.into_iter().filter(|doubt| has(records, *doubt)).collect()
}

fn has(records: &[Record], doubt: Doubt) -> bool {
    match doubt {
        Doubt::LostRound => failures(records).next().is_some(),
        Doubt::FailedRequests => measured(records).any(|(_, summary)| summary.has_failures()),
        Doubt::FailedCheck => measured(records).any(|(record, _)| !record.valid),
        Doubt::Disturbed => measured(records).any(|(record, _)| record.disturbed.is_some()),
        Doubt::Unserved => has_effect(records, Effect::ServedConnectionsOnly),
    }
}

/// Whether a check of any round says that the numbers have to be read with `effect` in mind.
pub fn has_effect(records: &[Record], effect: Effect) -> bool {
    measured(records).any(|(record, _)| record.checks.iter().any(|check| check.effect == Some(effect)))
}
