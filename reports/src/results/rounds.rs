//! Values and doubts of the rounds of a cell, or of one round alone.

use std::collections::BTreeMap;

use c10k_loadgen::check::Effect;
use c10k_loadgen::summary::Summary;

use super::doubt::{DOUBTS, Doubt};
use crate::metric::Metric;
use crate::record::{Outcome, Record};
use crate::statistics::lead::Contender;
use crate::statistics::spread::{Spread, Value};

/// Returns the rounds that ran to their end, each with the generator's summary.
pub fn measured(records: &[Record]) -> impl Iterator<Item = (&Record, &Summary)> {
    records.iter().filter_map(|record| match &record.outcome {
        Outcome::Measured(summary) => Some((record, &**summary)),
        Outcome::Failed(_) => None,
    })
}

/// Returns the rounds that did not run to their end, each with its error in one line.
pub fn failures(records: &[Record]) -> impl Iterator<Item = (&Record, &str)> {
    records.iter().filter_map(|record| match &record.outcome {
        Outcome::Failed(error) => Some((record, error.as_str())),
        Outcome::Measured(_) => None,
    })
}

/// Returns the value of `metric` over the rounds that have one.
pub fn value(records: &[Record], metric: &Metric) -> Option<Value> {
    let Contender { rounds, at_least } = contender(records, metric);
    let spread = Spread::of(&rounds.into_values().collect::<Vec<_>>())?;
    Some(Value { spread, at_least })
}

/// Returns the value of `metric` in each round that has one; in no round if the metric needs a
/// value in every round and one round has none.
pub fn contender(records: &[Record], metric: &Metric) -> Contender {
    let of = |record: &Record| Some((record.round, *record.metrics.get(metric.key)?));
    let mut rounds: BTreeMap<u32, f64> =
        measured(records).filter_map(|(record, _)| of(record)).collect();
    if metric.of_every_round && rounds.len() < measured(records).count() {
        rounds.clear();
    }
    Contender {
        rounds,
        // If one round is a lower bound, the true median may be higher, too.
        at_least: metric
            .bound
            .is_some_and(|bound| measured(records).any(|(record, _)| (bound.applies)(record))),
    }
}

/// Returns the reasons why the numbers cannot be compared with those of other cells; empty if they
/// can be compared.
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

/// Returns true if a check of any round says that `effect` must be considered when the numbers are
/// read.
pub fn has_effect(records: &[Record], effect: Effect) -> bool {
    measured(records)
        .any(|(record, _)| record.checks.iter().any(|check| check.effect == Some(effect)))
}
