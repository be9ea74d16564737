//! One cell of a run: the records of its rounds, and the findings that follow from all of them.

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
    /// Number of disturbed measurements that were repeated; `records` leaves them out.
    pub repeated: usize,
    /// Distributions by tag, over all rounds, in nanoseconds.
    pub times: Tagged,
}

/// State of a cell, for counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Every measurement that was made ran to its end, and no request and no check failed.
    Good,
    /// A check failed, or connections were not served.
    NotValid,
    /// A measurement or a request failed.
    Failed,
    /// No measurement was made.
    NotMeasured,
}

/// Connections in the round that left the most of them unserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unserved {
    /// Connections that the workload called for at once.
    pub asked: u64,
    /// Number of those connections that never had a response.
    pub never_served: u64,
}

impl CellResult {
    /// Removes measurements that were repeated. A measurement stays if an interrupt prevented its
    /// repetition.
    pub(super) fn leave_out_superseded(&mut self) {
        let standing: HashSet<u32> = self
            .records
            .iter()
            .filter(|record| !record.superseded)
            .map(|record| record.round)
            .collect();
        let before = self.records.len();
        self.records.retain(|record| !record.superseded || !standing.contains(&record.round));
        self.repeated = before - self.records.len();
    }

    /// Returns the rounds that ran to their end, each with the generator's summary.
    pub fn measured(&self) -> impl Iterator<Item = (&Record, &Summary)> {
        rounds::measured(&self.records)
    }

    /// Returns the rounds that did not run to their end, each with its error in one line.
    pub fn failures(&self) -> impl Iterator<Item = (&Record, &str)> {
        rounds::failures(&self.records)
    }

    /// Returns the number of rounds that ran to their end.
    pub fn rounds(&self) -> usize {
        self.measured().count()
    }

    /// Returns the state of the cell.
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

    /// Returns the reasons why the cell's numbers cannot be compared with those of other cells;
    /// empty if they can be compared.
    pub fn doubts(&self) -> Vec<Doubt> {
        rounds::doubts(&self.records)
    }

    /// Returns the signs of the cell's doubts after a no-break space; empty if there are no doubts,
    /// or no number to put them next to.
    pub fn signs(&self) -> String {
        if self.rounds() == 0 {
            return String::new();
        }
        let signs: String = self.doubts().into_iter().map(Doubt::sign).collect();
        if signs.is_empty() { signs } else { format!("\u{a0}{signs}") }
    }

    /// Returns true if a check of any round says that `effect` must be considered when the numbers
    /// are read.
    pub fn has_effect(&self, effect: Effect) -> bool {
        rounds::has_effect(&self.records, effect)
    }

    /// Returns the reason why there is no number; `None` if a round ran to its end.
    pub fn why_nothing(&self) -> Option<&'static str> {
        match (self.records.is_empty(), self.rounds()) {
            (true, _) => Some("not measured (run interrupted)"),
            (false, 0) => Some("failed"),
            (false, _) => None,
        }
    }

    /// Returns the value of `metric` over the rounds that have one.
    pub fn value(&self, metric: &Metric) -> Option<Value> {
        rounds::value(&self.records, metric)
    }

    /// Returns the rounds of `metric`; `None` if there are none, or if they cannot be compared with
    /// other cells.
    pub fn comparable(&self, metric: &Metric) -> Option<Contender> {
        let contender = rounds::contender(&self.records, metric);
        (!contender.rounds.is_empty() && self.doubts().is_empty()).then_some(contender)
    }

    /// Returns the distribution with `tag` over all rounds, if it has a sample.
    fn times(&self, tag: &str) -> Option<&Times> {
        self.times.get(tag).filter(|times| !times.is_empty())
    }

    /// Returns the response times over all rounds, which are the part of latency that the server is
    /// responsible for. A run written before the connect wait was measured separately has only
    /// latencies, which are returned instead.
    pub fn response(&self) -> Option<&Times> {
        self.times("response").or_else(|| self.times("latency"))
    }

    /// Returns the highest quantile (0 to 1) of [`response`](Self::response) that is known in spite
    /// of the failures of the worst round; `None` if nothing failed.
    pub fn response_known_to(&self) -> Option<f64> {
        let known = self.measured().filter_map(|(_, summary)| summary.response_us.known_to);
        known.reduce(f64::min)
    }

    /// Returns the numbers of the subject's workers and of its threads for handlers, such as
    /// `2 workers, 64 handler threads`; `None` if its command sets neither.
    pub fn sizes(&self) -> Option<String> {
        let workers = self.records.iter().find_map(Record::workers);
        let handler_threads = self.records.iter().find_map(Record::handler_threads);
        let sizes = [(workers, "worker"), (handler_threads, "handler thread")];
        let set = sizes.into_iter().filter_map(|(size, noun)| Some(format::plural(size?, noun)));
        let texts: Vec<String> = set.collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    /// Returns the sum of `value` over the rounds that ran to their end.
    pub fn sum(&self, value: impl Fn(&Summary) -> u64) -> u64 {
        self.measured().map(|(_, summary)| value(summary)).sum()
    }

    /// Returns the connections of the round with the most unserved ones; `None` if no check says
    /// that some were not served.
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

    /// Describes the failures by kind, such as `12 timeout, 3 reset`, with an example of each kind.
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
        examples
            .by_kind()
            .fold(counts, |text, (kind, example)| format!("{text}; {kind}: {example}"))
    }
}
