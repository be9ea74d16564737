//! Outcomes of the validity checks over a run: a tally per check, each complaint once per cell.

use std::iter;

use c10k_loadgen::check::{CheckOutcome, Verdict};

use super::cell::CellResult;
use super::gather::Results;
use crate::format;

/// One check over the whole run.
#[derive(Debug)]
pub struct Tally {
    /// Its name.
    pub name: String,
    /// Measurements that passed it.
    pub passed: usize,
    /// Measurements that it warns of.
    pub warned: usize,
    /// Measurements that failed it.
    pub failed: usize,
    /// Cells that did not pass it, by workload and then by subject.
    pub complaints: Vec<Complaint>,
}

/// Complaint of one check about one cell.
#[derive(Debug)]
pub struct Complaint {
    /// Name of the check.
    pub check: String,
    /// Index of the subject in the environment.
    pub subject: usize,
    /// Index of the workload in the environment.
    pub workload: usize,
    /// The worst verdict of any round.
    pub verdict: Verdict,
    /// Detail of the first round with that verdict.
    pub detail: String,
    /// Rounds that did not pass.
    pub rounds: usize,
    /// Rounds that ran to their end.
    pub of_rounds: usize,
}

impl Complaint {
    /// Returns true if the numbers must not be believed.
    pub fn is_failure(&self) -> bool {
        self.verdict == Verdict::Fail
    }

    /// Describes the number of rounds that did not pass, such as `in 2 of 3 rounds`.
    pub fn rounds_in_words(&self) -> String {
        format!("in {} of {}", self.rounds, format::plural(self.of_rounds as u64, "round"))
    }
}

/// Returns a tally per check that was made, in the order in which the records name the checks.
pub fn tallies(results: &Results) -> Vec<Tally> {
    names(results.cells.iter()).into_iter().map(|name| tally(results, name)).collect()
}

/// Returns the complaints about `cell`, at most one per check.
pub fn complaints(cell: &CellResult) -> Vec<Complaint> {
    names(iter::once(cell)).into_iter().filter_map(|name| complaint(cell, name)).collect()
}

/// Returns the names of the checks that were made on `cells`.
fn names<'a>(cells: impl Iterator<Item = &'a CellResult>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for check in cells.flat_map(CellResult::measured).flat_map(|(record, _)| &record.checks) {
        if !names.contains(&check.name.as_str()) {
            names.push(&check.name);
        }
    }
    names
}

fn tally(results: &Results, name: &str) -> Tally {
    let outcomes = || results.cells.iter().flat_map(|cell| outcomes(cell, name));
    let count = |verdict| outcomes().filter(|check| check.verdict == verdict).count();
    Tally {
        name: name.to_owned(),
        passed: count(Verdict::Pass),
        warned: count(Verdict::Warn),
        failed: count(Verdict::Fail),
        complaints: results.cells.iter().filter_map(|cell| complaint(cell, name)).collect(),
    }
}

fn complaint(cell: &CellResult, name: &str) -> Option<Complaint> {
    let worst = outcomes(cell, name).map(|check| check.verdict).max()?;
    let first = outcomes(cell, name).find(|check| check.verdict == worst)?;
    (worst != Verdict::Pass).then(|| Complaint {
        check: name.to_owned(),
        subject: cell.subject,
        workload: cell.workload,
        verdict: worst,
        detail: first.detail.clone(),
        rounds: outcomes(cell, name).filter(|check| check.verdict != Verdict::Pass).count(),
        of_rounds: cell.rounds(),
    })
}

fn outcomes<'a>(cell: &'a CellResult, name: &str) -> impl Iterator<Item = &'a CheckOutcome> {
    let checks = cell.measured().flat_map(|(record, _)| &record.checks);
    checks.filter(move |check| check.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::record::{Record, Run};

    fn record(round: u32, verdict: Verdict, detail: &str) -> Record {
        let check = CheckOutcome {
            name: "generator-cpu".to_owned(),
            verdict,
            detail: detail.to_owned(),
            effect: None,
        };
        Record { checks: vec![check], ..fixture::measured("epoll", "short-1", round) }
    }

    #[test]
    fn a_cell_has_one_complaint_per_check_with_its_worst_detail() {
        let records = vec![
            record(1, Verdict::Pass, "40 %"),
            record(2, Verdict::Warn, "90 %"),
            record(3, Verdict::Fail, "99 %"),
        ];
        let environment = fixture::environment();
        let run = Run { dir: "run".into(), environment, records, notes: Vec::new() };
        let tallies = tallies(&Results::without_histograms(run));
        let [Tally { passed: 1, warned: 1, failed: 1, complaints, .. }] = tallies.as_slice() else {
            panic!("{tallies:?}")
        };
        let [complaint] = complaints.as_slice() else { panic!("{complaints:?}") };
        assert_eq!((complaint.detail.as_str(), complaint.verdict), ("99 %", Verdict::Fail));
        assert_eq!((complaint.rounds, complaint.of_rounds), (2, 3));
    }
}
