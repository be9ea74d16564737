//! What a run found, cell by cell: the measurements of its rounds brought together.
//!
//! Every planned cell has an entry, also one that failed or was never reached, so that no page can leave it out.

use std::collections::{BTreeMap, HashMap};

use c10k_loadgen::measurement::{Errors, Times};
use c10k_loadgen::summary::Summary;

use crate::histogram_log::{self, Tagged};
use crate::record::{self, Environment, Outcome, Record, Run};
use crate::statistics::percentile;
use crate::statistics::spread::{Spread, describe_interval};

/// What a run found.
#[derive(Debug)]
pub struct Results {
    /// What was to be measured, where, and how.
    pub environment: Environment,
    /// One entry per planned cell, by workload and then by subject, both in the order of the suite.
    pub cells: Vec<CellResult>,
    /// What a reader has to know about the reading of the files.
    pub notes: Vec<String>,
}

/// What a run found about one cell.
#[derive(Debug)]
pub struct CellResult {
    /// Index of its subject in the environment.
    pub subject: usize,
    /// Index of its workload in the environment.
    pub workload: usize,
    /// The rounds that ran to their end, in the order of measurement.
    pub measured: Vec<Measured>,
    /// The rounds that did not.
    pub failures: Vec<Failure>,
    /// Distributions by tag, over all rounds, in nanoseconds.
    pub times: Tagged,
}

/// One round that ran to its end.
#[derive(Debug)]
pub struct Measured {
    /// The round, counted from 1.
    pub round: u32,
    /// What the generator saw.
    pub summary: Box<Summary>,
    /// What follows from it, by key of the metric.
    pub metrics: BTreeMap<String, f64>,
}

/// One round that did not run to its end.
#[derive(Debug)]
pub struct Failure {
    /// The round, counted from 1.
    pub round: u32,
    /// Why, in a line.
    pub error: String,
}

/// How a cell fared, for a reader who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Every measurement made ran to its end, and no request failed.
    Good,
    /// A measurement or a request failed.
    Failed,
    /// No measurement was made.
    NotMeasured,
}

impl Results {
    /// Brings together the records of `run`, without histograms.
    pub fn without_histograms(run: Run) -> Self {
        Self::gather(run, |_, _, _| {})
    }

    /// Brings together the records of `run` with the histograms that they name. A log that cannot be read becomes a note:
    /// the rest of its measurement still counts.
    pub fn with_histograms(run: Run) -> Self {
        let dir = run.dir.clone();
        Self::gather(run, |name, times, notes| {
            if let Err(error) = histogram_log::merge_file(&dir.join(name), times) {
                notes.push(capitalised(&error.to_string()));
            }
        })
    }

    fn gather(run: Run, mut merge_log: impl FnMut(&str, &mut Tagged, &mut Vec<String>)) -> Self {
        let Run { environment, records, mut notes, .. } = run;
        let mut cells = planned_cells(&environment);
        let index: HashMap<record::Cell, usize> =
            cells.iter().enumerate().map(|(index, cell)| (cell.names(&environment), index)).collect();
        for record in records {
            // An unplanned cell has a note from the reading of the record already.
            let Some(cell) = index.get(&record.cell).map(|&index| &mut cells[index]) else {
                continue;
            };
            if let Some(name) = &record.histograms {
                merge_log(name, &mut cell.times, &mut notes);
            }
            cell.add(record);
        }
        Self { environment, cells, notes }
    }

    /// The cells of one workload.
    pub fn of_workload(&self, workload: usize) -> impl Iterator<Item = &CellResult> + Clone {
        self.cells.iter().filter(move |cell| cell.workload == workload)
    }

    /// Name of the subject of `cell`.
    pub fn subject_name(&self, cell: &CellResult) -> &str {
        &self.environment.subjects[cell.subject].name
    }

    /// Measurements that were made, whatever came of them.
    pub fn measurements(&self) -> usize {
        self.cells.iter().map(|cell| cell.measured.len() + cell.failures.len()).sum()
    }

    /// Measurements that were planned.
    pub fn planned_measurements(&self) -> usize {
        self.cells.len() * self.environment.rounds as usize
    }

    /// What the intervals around medians are, by the rounds that were made, not those that were planned.
    pub fn interval(&self) -> String {
        let rounds = || self.cells.iter().map(|cell| cell.measured.len()).filter(|rounds| *rounds > 0);
        describe_interval(rounds().min().unwrap_or(0), rounds().max().unwrap_or(0))
    }

    /// How many cells are in `state`.
    pub fn count(&self, state: State) -> usize {
        self.cells.iter().filter(|cell| cell.state() == state).count()
    }
}

impl CellResult {
    fn add(&mut self, record: Record) {
        let Record { round, outcome, metrics, .. } = record;
        match outcome {
            Outcome::Measured(summary) => self.measured.push(Measured { round, summary, metrics }),
            Outcome::Failed(error) => self.failures.push(Failure { round, error }),
        }
    }

    fn names(&self, environment: &Environment) -> record::Cell {
        record::Cell {
            subject: environment.subjects[self.subject].name.clone(),
            workload: environment.workloads[self.workload].name.clone(),
        }
    }

    /// How it fared.
    pub fn state(&self) -> State {
        match (self.measured.is_empty(), self.failures.is_empty()) {
            (true, true) => State::NotMeasured,
            (_, true) if !self.has_failed_requests() => State::Good,
            _ => State::Failed,
        }
    }

    /// Why there is no number, where no round ran to its end.
    pub fn why_nothing(&self) -> Option<&'static str> {
        match self.state() {
            _ if !self.measured.is_empty() => None,
            State::NotMeasured => Some("not measured (run interrupted)"),
            State::Good | State::Failed => Some("failed"),
        }
    }

    /// Throughput, in completed requests per second.
    pub fn throughput_rps(&self) -> Option<Spread> {
        self.over_rounds("throughput_rps")
    }

    /// CPU time of the server, in microseconds per completed request.
    pub fn cpu_us_per_request(&self) -> Option<Spread> {
        self.over_rounds("server_cpu_us_per_request")
    }

    /// Memory of the server, in bytes.
    pub fn memory_bytes(&self) -> Option<Spread> {
        self.over_rounds("memory_pss_bytes")
    }

    fn over_rounds(&self, key: &str) -> Option<Spread> {
        let values = self.measured.iter().filter_map(|measured| measured.metrics.get(key).copied());
        Spread::of(&values.collect::<Vec<_>>())
    }

    /// The distribution with `tag` over all rounds, where it has a sample.
    pub fn times(&self, tag: &str) -> Option<&Times> {
        self.times.get(tag).filter(|times| !times.is_empty())
    }

    /// The time at `quantile` (0 to 1) of the distribution with `tag`, in nanoseconds, where enough samples support it.
    pub fn time_ns(&self, tag: &str, quantile: f64) -> Option<u64> {
        percentile::supported(self.times(tag)?, quantile)
    }

    /// `value` summed over the rounds that ran to their end.
    pub fn sum(&self, value: impl Fn(&Summary) -> u64) -> u64 {
        self.measured.iter().map(|measured| value(&measured.summary)).sum()
    }

    /// Whether any request failed, or any connection could not be made.
    pub fn has_failed_requests(&self) -> bool {
        self.sum(|summary| summary.requests.failed + summary.errors.total()) > 0
    }

    /// Whether any connection was never answered, or never made.
    pub fn has_unserved_connections(&self) -> bool {
        self.sum(|summary| {
            summary.connections.requested - summary.connections.served.min(summary.connections.requested)
        }) > 0
    }

    /// Failures by kind, such as `12 timeout, 3 reset`.
    pub fn errors_by_kind(&self) -> String {
        let sum = |value: fn(&Errors) -> u64| self.sum(|summary| value(&summary.errors));
        let kinds = [
            (sum(|errors| errors.connect), "connect"),
            (sum(|errors| errors.reset), "reset"),
            (sum(|errors| errors.timeout), "timeout"),
            (sum(|errors| errors.status), "status"),
            (sum(|errors| errors.protocol), "protocol"),
        ];
        let present = kinds.into_iter().filter(|(count, _)| *count > 0);
        let texts = present.map(|(count, kind)| format!("{} {kind}", crate::format::count(count)));
        texts.collect::<Vec<_>>().join(", ")
    }
}

/// The planned cells, by workload and then by subject. The plan was checked to name known ones only.
fn planned_cells(environment: &Environment) -> Vec<CellResult> {
    let subject_of = |name: &str| environment.subjects.iter().position(|subject| subject.name == name);
    let workload_of = |name: &str| environment.workloads.iter().position(|workload| workload.name == name);
    let planned = environment.cells.iter();
    let places = planned.filter_map(|cell| Some((workload_of(&cell.workload)?, subject_of(&cell.subject)?)));
    let mut places: Vec<(usize, usize)> = places.collect();
    places.sort_unstable();
    let empty = |(workload, subject)| CellResult {
        subject,
        workload,
        measured: Vec::new(),
        failures: Vec::new(),
        times: Tagged::new(),
    };
    places.into_iter().map(empty).collect()
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), characters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn results(records: Vec<record::Record>) -> Results {
        let environment = fixture::environment();
        Results::without_histograms(Run { dir: "run".into(), environment, records, notes: Vec::new() })
    }

    fn cell<'a>(results: &'a Results, subject: &str, workload: &str) -> &'a CellResult {
        let names = fixture::cell(subject, workload);
        results.cells.iter().find(|cell| cell.names(&results.environment) == names).unwrap()
    }

    #[test]
    fn every_planned_cell_has_an_entry_and_a_state() {
        let results = results(vec![
            fixture::measured("epoll", "short-1", 1),
            fixture::failed("fork", "short-1", 1, "no answer"),
        ]);
        assert_eq!(results.cells.len(), 24);
        assert_eq!(cell(&results, "epoll", "short-1").state(), State::Good);
        assert_eq!(cell(&results, "fork", "short-1").state(), State::Failed);
        assert_eq!(cell(&results, "epoll", "persistent-512").state(), State::NotMeasured);
        assert_eq!((results.measurements(), results.planned_measurements()), (2, 72));
    }

    #[test]
    fn a_cell_with_failed_requests_is_not_good() {
        let mut record = fixture::measured("epoll", "short-1", 1);
        let Outcome::Measured(summary) = &mut record.outcome else { unreachable!() };
        summary.errors.timeout = 1_200;
        summary.errors.reset = 3;
        let results = results(vec![record]);
        let cell = cell(&results, "epoll", "short-1");
        assert_eq!(cell.state(), State::Failed);
        assert_eq!(cell.errors_by_kind(), "3 reset, 1,200 timeout");
    }

    #[test]
    fn rounds_come_together_in_spreads() {
        let rounds = [9_000.0, 11_000.0, 10_000.0].map(|rps| {
            let mut record = fixture::measured("epoll", "short-1", 1);
            let Outcome::Measured(summary) = &mut record.outcome else { unreachable!() };
            summary.throughput_rps = rps;
            record.metrics = crate::metric::compute(&record);
            record
        });
        let results = results(rounds.to_vec());
        let spread = cell(&results, "epoll", "short-1").throughput_rps().unwrap();
        assert_eq!((spread.low, spread.median, spread.high), (9_000.0, 10_000.0, 11_000.0));
    }
}
