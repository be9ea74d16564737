//! Gathers the records of a run by cell.
//!
//! Every planned cell has an entry, even if it failed or was never reached, so that no page can
//! leave it out.

use std::collections::HashMap;

use super::cell::{CellResult, State};
use super::histogram_log::{self, Tagged};
use crate::metric::Metric;
use crate::record::{self, Environment, Run};
use crate::statistics::apart;
use crate::statistics::spread::describe_interval;

/// Findings of a run.
#[derive(Debug)]
pub struct Results {
    /// The plan, the machine and the method.
    pub environment: Environment,
    /// One entry per planned cell, by workload and then by subject, both in the order of the suite.
    pub cells: Vec<CellResult>,
    /// Problems found while the files were read, in sentences for the reader of the page.
    pub notes: Vec<String>,
}

impl Results {
    /// Gathers the records of `run`, without histograms.
    pub fn without_histograms(run: Run) -> Self {
        Self::gather(run, |_, _, _| {})
    }

    /// Gathers the records of `run` with the histograms that they name. A log that cannot be read
    /// becomes a note: the rest of its measurement still counts.
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
        let index: HashMap<record::Cell, usize> = cells
            .iter()
            .enumerate()
            .map(|(index, cell)| (names(cell, &environment), index))
            .collect();
        for record in records {
            // The reader of the record has already added a note about an unplanned cell.
            let Some(cell) = index.get(&record.cell).map(|&index| &mut cells[index]) else {
                continue;
            };
            if let Some(name) = &record.histograms {
                merge_log(name, &mut cell.times, &mut notes);
            }
            cell.records.push(record);
        }
        for cell in &mut cells {
            cell.leave_out_superseded();
            cell.records.sort_by_key(|record| record.round);
        }
        Self { environment, cells, notes }
    }

    /// Returns the cells of one workload.
    pub fn of_workload(&self, workload: usize) -> impl Iterator<Item = &CellResult> + Clone {
        self.cells.iter().filter(move |cell| cell.workload == workload)
    }

    /// Returns the name of the subject of `cell`.
    pub fn subject_name(&self, cell: &CellResult) -> &str {
        &self.environment.subjects[cell.subject].name
    }

    /// Returns the number of measurements that were made, failed ones included.
    pub fn measurements(&self) -> usize {
        self.cells.iter().map(|cell| cell.records.len()).sum()
    }

    /// Returns the number of disturbed measurements that were repeated.
    pub fn repeated(&self) -> usize {
        self.cells.iter().map(|cell| cell.repeated).sum()
    }

    /// Returns the number of measurements that were planned.
    pub fn planned_measurements(&self) -> usize {
        self.cells.len() * self.environment.rounds as usize
    }

    /// Describes the intervals around medians, by the number of rounds that were made and not the
    /// number that was planned.
    pub fn interval(&self) -> String {
        let rounds = || self.cells.iter().map(CellResult::rounds).filter(|rounds| *rounds > 0);
        describe_interval(rounds().min().unwrap_or(0), self.most_rounds())
    }

    /// Describes the method that distinguishes subjects; `None` if nothing was measured.
    pub fn comparison(&self) -> Option<String> {
        let rounds = self.most_rounds();
        (rounds > 0).then(|| apart::describe(rounds))
    }

    fn most_rounds(&self) -> usize {
        self.cells.iter().map(CellResult::rounds).max().unwrap_or(0)
    }

    /// Returns true if any cell has a value of `metric`.
    pub fn has(&self, metric: &Metric) -> bool {
        self.cells.iter().any(|cell| cell.value(metric).is_some())
    }

    /// Returns the number of cells in `state`.
    pub fn count(&self, state: State) -> usize {
        self.cells.iter().filter(|cell| cell.state() == state).count()
    }
}

fn names(cell: &CellResult, environment: &Environment) -> record::Cell {
    record::Cell {
        subject: environment.subjects[cell.subject].name.clone(),
        workload: environment.workloads[cell.workload].name.clone(),
    }
}

/// Returns the planned cells, by workload and then by subject. The plan was checked, so it names
/// only known workloads and subjects.
fn planned_cells(environment: &Environment) -> Vec<CellResult> {
    let subject_of =
        |name: &str| environment.subjects.iter().position(|subject| subject.name == name);
    let workload_of =
        |name: &str| environment.workloads.iter().position(|workload| workload.name == name);
    let planned = environment.cells.iter();
    let places =
        planned.filter_map(|cell| Some((workload_of(&cell.workload)?, subject_of(&cell.subject)?)));
    let mut places: Vec<(usize, usize)> = places.collect();
    places.sort_unstable();
    let empty = |(workload, subject)| CellResult {
        subject,
        workload,
        records: Vec::new(),
        repeated: 0,
        times: Tagged::new(),
    };
    places.into_iter().map(empty).collect()
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), characters.as_str())
    })
}

#[cfg(test)]
mod tests {
    use c10k_loadgen::check::{CheckOutcome, Effect, Verdict};
    use c10k_loadgen::summary::Summary;

    use super::*;
    use crate::fixture;
    use crate::metric::{by_key, compute};
    use crate::record::{Outcome, Record};
    use crate::results::{Doubt, Unserved, leading};

    fn results(records: Vec<Record>) -> Results {
        let environment = fixture::environment();
        Results::without_histograms(Run {
            dir: "run".into(),
            environment,
            records,
            notes: Vec::new(),
        })
    }

    fn cell<'a>(results: &'a Results, subject: &str, workload: &str) -> &'a CellResult {
        let wanted = fixture::cell(subject, workload);
        results.cells.iter().find(|cell| names(cell, &results.environment) == wanted).unwrap()
    }

    fn summary(record: &mut Record) -> &mut Summary {
        let Outcome::Measured(summary) = &mut record.outcome else { unreachable!() };
        summary
    }

    /// Builds three rounds of `subject` around `rps`, each changed by `change`.
    fn rounds(subject: &str, rps: f64, change: fn(&mut Record)) -> Vec<Record> {
        let round = |round: u32| {
            let mut record = fixture::measured(subject, "short-1", round);
            summary(&mut record).throughput_rps = rps + f64::from(round);
            change(&mut record);
            record.metrics = compute(&record);
            record
        };
        (1..=3).map(round).collect()
    }

    fn warn(record: &mut Record, effect: Effect) {
        record.checks = vec![CheckOutcome {
            name: "of tomorrow".to_owned(),
            verdict: Verdict::Warn,
            detail: String::new(),
            effect: Some(effect),
        }];
    }

    /// Returns the names of the subjects that lead in throughput under `short-1`.
    fn leaders(records: [Vec<Record>; 3]) -> Vec<String> {
        let results = results(records.into_iter().flatten().collect());
        let cells: Vec<&CellResult> = results.of_workload(0).collect();
        let leads = leading(&cells, by_key("throughput_rps").unwrap());
        let leading = cells.iter().zip(leads).filter(|(_, leads)| *leads);
        leading.map(|(cell, _)| results.subject_name(cell).to_owned()).collect()
    }

    #[test]
    fn every_planned_cell_has_an_entry_and_a_state() {
        let mut invalid = fixture::measured("busy-poll", "short-1", 1);
        invalid.valid = false;
        let results = results(vec![
            fixture::measured("epoll", "short-1", 1),
            fixture::failed("fork", "short-1", 1, "no response"),
            invalid,
        ]);
        assert_eq!(results.cells.len(), 24);
        assert_eq!(cell(&results, "epoll", "short-1").state(), State::Good);
        assert_eq!(cell(&results, "fork", "short-1").state(), State::Failed);
        assert_eq!(cell(&results, "busy-poll", "short-1").state(), State::NotValid);
        assert_eq!(cell(&results, "epoll", "persistent-512").state(), State::NotMeasured);
        assert_eq!((results.measurements(), results.planned_measurements()), (3, 72));
    }

    #[test]
    fn a_cell_with_failed_requests_is_not_good() {
        let mut record = fixture::measured("epoll", "short-1", 1);
        summary(&mut record).errors.timeout = 1_200;
        summary(&mut record).errors.reset = 3;
        let results = results(vec![record]);
        let cell = cell(&results, "epoll", "short-1");
        assert_eq!(cell.state(), State::Failed);
        assert_eq!(cell.errors_by_kind(), "3 reset, 1,200 timeout");
        assert_eq!(
            (cell.doubts(), cell.signs()),
            (vec![Doubt::FailedRequests], "\u{a0}†".to_owned())
        );
    }

    #[test]
    fn failures_show_an_example_of_each_kind_and_all_status_codes() {
        let mut records = [1, 2].map(|round| fixture::measured("epoll", "short-1", round)).to_vec();
        for (record, address) in records.iter_mut().zip(["a", "b"]) {
            let summary = summary(record);
            (summary.errors.reset, summary.errors.status) = (1, 2);
            summary.error_examples.reset = Some(format!("{address}: Connection reset by peer"));
            for code in [404, 503] {
                summary.status_codes.count(code);
            }
        }
        let results = results(records);
        let text = cell(&results, "epoll", "short-1").errors_by_kind();
        let examples = "reset: a: Connection reset by peer; status: 404 (2 times), 503 (2 times)";
        assert_eq!(text, format!("2 reset, 4 status; {examples}"));
    }

    #[test]
    fn a_starved_cell_is_not_good_and_says_how_many_were_never_served() {
        let mut record = fixture::measured("epoll", "short-1", 1);
        warn(&mut record, Effect::ServedConnectionsOnly);
        summary(&mut record).connections.requested = 512;
        summary(&mut record).connections.served = 411;
        let results = results(vec![record, fixture::measured("epoll", "short-1", 2)]);
        let cell = cell(&results, "epoll", "short-1");
        assert_eq!(cell.state(), State::NotValid);
        assert_eq!(cell.unserved(), Some(Unserved { asked: 512, never_served: 101 }));
    }

    #[test]
    fn rounds_come_together_in_spreads() {
        let results = results(rounds("epoll", 9_999.0, |_| {}));
        let value =
            cell(&results, "epoll", "short-1").value(by_key("throughput_rps").unwrap()).unwrap();
        let spread = value.spread;
        assert_eq!((spread.low, spread.median, spread.high), (10_000.0, 10_001.0, 10_002.0));
        assert!(!value.at_least);
    }

    #[test]
    fn a_percentile_that_a_round_lacks_has_no_value_and_a_reading_has() {
        let mut records = rounds("epoll", 9_999.0, |_| {});
        for (record, p99) in records.iter_mut().zip([100.0, 110.0]) {
            record.metrics.insert("response_p99_us".to_owned(), p99);
            record.metrics.insert("system_calls_per_request".to_owned(), 3.0);
        }
        let results = results(records);
        let cell = cell(&results, "epoll", "short-1");
        assert_eq!(cell.value(by_key("response_p99_us").unwrap()), None);
        assert!(cell.value(by_key("system_calls_per_request").unwrap()).is_some());
    }

    #[test]
    fn if_the_generator_is_the_limit_throughput_is_a_bound_and_cost_is_not() {
        let results =
            results(rounds("epoll", 1e4, |record| warn(record, Effect::ThroughputIsABound)));
        let cell = cell(&results, "epoll", "short-1");
        assert_eq!(cell.state(), State::Good);
        assert!(cell.value(by_key("throughput_rps").unwrap()).unwrap().at_least);
        assert!(!cell.value(by_key("server_cpu_us_per_request").unwrap()).unwrap().at_least);
    }

    #[test]
    fn a_cell_in_doubt_neither_leads_nor_takes_a_lead_away() {
        let good = || [rounds("fork", 1e3, |_| {}), rounds("epoll", 2e3, |_| {})];
        let doubts: [fn(&mut Record); 3] = [
            |record| record.valid = false,
            |record| warn(record, Effect::ServedConnectionsOnly),
            |record| summary(record).requests.failed = 1,
        ];
        for doubt in doubts {
            let [fork, epoll] = good();
            assert_eq!(leaders([fork, epoll, rounds("busy-poll", 9e3, doubt)]), ["epoll"]);
            let [fork, epoll] = good();
            assert_eq!(leaders([fork, epoll, rounds("busy-poll", 1.0, doubt)]), ["epoll"]);
            // The only cell without a doubt has no other cell to be compared with.
            assert!(
                leaders([rounds("epoll", 2e3, |_| {}), rounds("fork", 1e3, doubt), Vec::new()])
                    .is_empty()
            );
        }
    }
}
