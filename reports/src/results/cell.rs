//! One cell of a run: the records of its rounds, and what follows from them together.

use std::collections::HashSet;

use c10k_loadgen::check::Effect;
use c10k_loadgen::example::{ErrorExamples, StatusCodes};
use c10k_loadgen::measurement::{Errors, Times};
use c10k_loadgen::summary::Summary;

use super::doubt::Doubt;
use super::histogram_log::Tagged;
use super::rounds;
use crate::format;
use crate::metric::Metric;
use crate::record::Record;
use crate::statistics::lead::Contender;
use crate::statistics::spread::Value;

/// Findings about one cell.
#[derive(Debug)]
pub struct CellResult {
    /// Index of its subject in the environment.
    pub subject: usize,
    /// Index of its workload in the environment.
    pub workload: usize,
    /// The measurements that were made, by round.
    pub records: Vec<Record>,
    /// Disturbed ones that were made again, which are left out.
    pub repeated: usize,
    /// Distributions by tag, over all rounds, in nanoseconds.
    pub times: Tagged,
}

/// State of a cell, for counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Every measurement made ran to its end, no request failed, and no check did.
    Good,
    /// A check failed, or connections were not served.
    NotValid,
    /// A measurement or a request failed.
    Failed,
    /// No measurement was made.
    NotMeasured,
}

/// Connections in the round that served fewest of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unserved {
    /// Connections that the workload called for at once.
    pub asked: u64,
    /// Of those, how many never had an answer.
    pub never_served: u64,
}

impl CellResult {
    /// Leaves out measurements that were made again. One that was to be, and was not for an interrupt, stays.
    pub(super) fn leave_out_superseded(&mut self) {
        let standing: HashSet<u32> =
            self.records.iter().filter(|record| !record.superseded).map(|record| record.round).collect();
        let before = self.records.len();
        self.records.retain(|record| !record.superseded || !standing.contains(&record.round));
        self.repeated = before - self.records.len();
    }

    /// The rounds that ran to their end, with what the generator saw.
    pub fn measured(&self) -> impl Iterator<Item = (&Record, &Summary)> {
        rounds::measured(&self.records)
    }

    /// The rounds that did not, each with its error in a line.
    pub fn failures(&self) -> impl Iterator<Item = (&Record, &str)> {
        rounds::failures(&self.records)
    }

    /// Number of rounds that ran to their end.
    pub fn rounds(&self) -> usize {
        self.measured().count()
    }

    /// Its state.
    pub fn state(&self) -> State {
        let doubts = self.doubts();
        if self.records.is_empty() {
            State::NotMeasured
        } else if doubts.contains(&Doubt::LostRound) || doubts.contains(&Doubt::FailedRequests) {
            State::Failed
        } else if doubts.is_empty() {
            State::Good
        } else {
            State::NotValid
        }
    }

    /// Why its numbers cannot be compared with those of other cells; empty where they can.
    pub fn doubts(&self) -> Vec<Doubt> {
        rounds::doubts(&self.records)
    }

    /// The signs of its doubts behind a space that does not break; empty where there are none, or
    /// no number that they could stand by.
    pub fn signs(&self) -> String {
        if self.rounds() == 0 {
            return String::new();
        }
        let signs: String = self.doubts().into_iter().map(Doubt::sign).collect();
        if signs.is_empty() { signs } else { format!("\u{a0}{signs}") }
    }

    /// Whether a check of any round says that the numbers have to be read with `effect` in mind.
    pub fn has_effect(&self, effect: Effect) -> bool {
        rounds::has_effect(&self.records, effect)
    }

    /// Why there is no number, where no round ran to its end.
    pub fn why_nothing(&self) -> Option<&'static str> {
        match (self.records.is_empty(), self.rounds()) {
            (true, _) => Some("not measured (run interrupted)"),
            (false, 0) => Some("failed"),
            (false, _) => None,
        }
    }

    /// The value of `metric` over the rounds that have one.
    pub fn value(&self, metric: &Metric) -> Option<Value> {
        rounds::value(&self.records, metric)
    }

    /// The rounds of `metric`, where there are any and they can be compared with other cells.
    pub fn comparable(&self, metric: &Metric) -> Option<Contender> {
        let contender = rounds::contender(&self.records, metric);
        (!contender.rounds.is_empty() && self.doubts().is_empty()).then_some(contender)
    }

    /// The distribution with `tag` over all rounds, where it has a sample.
    fn times(&self, tag: &str) -> Option<&Times> {
        self.times.get(tag).filter(|times| !times.is_empty())
    }

    /// The response times over all rounds, which the server is responsible for. A run of before the
    /// wait for a connect was told apart has the latencies only.
    pub fn response(&self) -> Option<&Times> {
        self.times("response").or_else(|| self.times("latency"))
    }

    /// The highest quantile (0 to 1) of [`response`](Self::response) that the failures of the worst round leave known;
    /// none where nothing failed.
    pub fn response_known_to(&self) -> Option<f64> {
        let known = self.measured().filter_map(|(_, summary)| summary.response_us.known_to);
        known.reduce(f64::min)
    }

    /// Workers of the subject's pool, such as `64 workers`; nothing where its command says none.
    pub fn workers(&self) -> Option<String> {
        let workers = self.records.iter().find_map(Record::workers)?;
        Some(format::plural(workers, "worker"))
    }

    /// `value` summed over the rounds that ran to their end.
    pub fn sum(&self, value: impl Fn(&Summary) -> u64) -> u64 {
        self.measured().map(|(_, summary)| value(summary)).sum()
    }

    /// The round with most connections unserved, where a check says that some were not.
    pub fn unserved(&self) -> Option<Unserved> {
        if !self.has_effect(Effect::ServedConnectionsOnly) {
            return None;
        }
        let rounds = self.measured().map(|(_, summary)| Unserved {
            asked: summary.connections.requested,
            never_served: summary.connections.requested.saturating_sub(summary.connections.served),
        });
        rounds.max_by_key(|unserved| unserved.never_served).filter(|worst| worst.never_served > 0)
    }

    /// Failures by kind, such as `12 timeout, 3 reset`, and an example of each kind.
    pub fn errors_by_kind(&self) -> String {
        let mut errors = Errors::default();
        let mut examples = ErrorExamples::default();
        let mut codes = StatusCodes::default();
        for (_, summary) in self.measured() {
            errors += summary.errors;
            examples.merge(&summary.error_examples);
            codes.merge(&summary.status_codes);
        }
        examples.status = codes.failures();
        let present = errors.by_kind().into_iter().filter(|(_, count)| *count > 0);
        let texts = present.map(|(kind, count)| format!("{} {kind}", format::count(count)));
        let counts = texts.collect::<Vec<_>>().join(", ");
        examples.by_kind().fold(counts, |text, (kind, example)| format!("{text}; {kind}: {example}"))
    }
}
