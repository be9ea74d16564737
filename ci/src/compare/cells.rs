//! Cells that are compared with each other: cells of the same subject and workload, or cells of the
//! same workload and of one chosen subject on each side.

use c10k_reports::results::{CellResult, Complaint, Doubt, Unserved, complaints};

use super::side::{CompareError, Side};

/// Two cells of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Name of the pair, which includes the subject unless the user chose one for each side.
    pub label: String,
    /// The workload.
    pub workload: String,
    /// Subject of each side.
    pub subjects: [String; 2],
    /// Number of rounds of each side that ran to their end.
    pub rounds: [usize; 2],
    /// Index among the cells of each side.
    places: [usize; 2],
}

/// Returns all pairs, in the order of A's suite.
pub(super) fn pairs(a: &Side, b: &Side) -> Result<Vec<Pair>, CompareError> {
    check_subjects(a, b)?;
    let of_a = a.results.cells.iter().enumerate();
    let of_a =
        of_a.filter(|(_, cell)| a.subject.as_deref().is_none_or(|only| a.subject_of(cell) == only));
    let pairs: Vec<Pair> = of_a.filter_map(|(place, cell)| pair(a, b, place, cell)).collect();
    if pairs.is_empty() {
        return Err(CompareError::NothingInCommon { a: a.name.clone(), b: b.name.clone() });
    }
    Ok(pairs)
}

fn check_subjects(a: &Side, b: &Side) -> Result<(), CompareError> {
    match (&a.subject, &b.subject) {
        (Some(_), None) => {
            return Err(CompareError::OneSubject { with: a.name.clone(), without: b.name.clone() });
        }
        (None, Some(_)) => {
            return Err(CompareError::OneSubject { with: b.name.clone(), without: a.name.clone() });
        }
        _ => {}
    }
    for side in [a, b] {
        if let Some(subject) =
            side.subject.as_ref().filter(|only| !side.subjects().any(|name| name == *only))
        {
            let known = side.subjects().collect::<Vec<_>>().join(", ");
            let name = side.name.clone();
            let subject = subject.clone();
            return Err(CompareError::UnknownSubject { name, subject, known });
        }
    }
    Ok(())
}

fn pair(a: &Side, b: &Side, place: usize, cell: &CellResult) -> Option<Pair> {
    let workload = a.workload_of(cell);
    let subject = a.subject_of(cell);
    let wanted = b.subject.as_deref().unwrap_or(subject);
    let is_other =
        |other: &CellResult| b.workload_of(other) == workload && b.subject_of(other) == wanted;
    let other = b.results.cells.iter().position(is_other)?;
    let label =
        if a.subject.is_some() { workload.to_owned() } else { format!("{workload} ({subject})") };
    Some(Pair {
        label,
        workload: workload.to_owned(),
        subjects: [subject.to_owned(), wanted.to_owned()],
        rounds: [cell.rounds(), b.results.cells[other].rounds()],
        places: [place, other],
    })
}

impl Pair {
    /// Returns both cells of the pair.
    pub(super) fn cells<'a>(&self, a: &'a Side, b: &'a Side) -> [&'a CellResult; 2] {
        [&a.results.cells[self.places[0]], &b.results.cells[self.places[1]]]
    }

    /// Returns the reason why the numbers of both cells can't be compared, in a line; `None` if
    /// they can.
    pub(super) fn why_not(&self, a: &Side, b: &Side) -> Option<String> {
        let cells = self.cells(a, b);
        let reasons = ["A", "B"].into_iter().zip(cells).filter_map(|(name, cell)| {
            let doubts = doubts(cell);
            (!doubts.is_empty()).then(|| format!("{name}: {doubts}"))
        });
        let differing = different_parameters(a, b, cells);
        let reasons: Vec<String> = reasons.chain(differing).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// Returns the reason why the numbers of a cell can't be compared with others; empty if they can.
fn doubts(cell: &CellResult) -> String {
    if cell.records.is_empty() {
        return "not measured".to_owned();
    }
    let doubts = cell.doubts().into_iter().map(|doubt| match detail(cell, doubt) {
        Some(detail) => format!("{} ({detail})", doubt.meaning()),
        None => doubt.meaning().to_owned(),
    });
    doubts.collect::<Vec<_>>().join(", ")
}

/// Returns an example of the cause of a doubt.
fn detail(cell: &CellResult, doubt: Doubt) -> Option<String> {
    match doubt {
        Doubt::LostRound => cell.failures().next().map(|(_, error)| error.to_owned()),
        Doubt::FailedRequests => Some(cell.errors_by_kind()),
        Doubt::FailedCheck => {
            let failed = complaints(cell).into_iter().find(Complaint::is_failure)?;
            Some(format!("{}: {}", failed.check, failed.detail))
        }
        Doubt::Disturbed => cell.measured().find_map(|(record, _)| record.disturbed.clone()),
        Doubt::Unserved => {
            let Unserved { asked, never_served } = cell.unserved()?;
            Some(format!("{never_served} of {asked} had no response"))
        }
    }
}

/// Lists the parameters that differ, or are set on one side only.
fn different_parameters(a: &Side, b: &Side, [cell, other]: [&CellResult; 2]) -> Option<String> {
    let of_a = &a.results.environment.workloads[cell.workload].parameters;
    let of_b = &b.results.environment.workloads[other.workload].parameters;
    let mut keys: Vec<&String> = of_a.keys().chain(of_b.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let value = |value: Option<_>| value.map_or("none".to_owned(), ToString::to_string);
    let differing = keys.into_iter().filter(|key| of_a.get(*key) != of_b.get(*key));
    let told =
        differing.map(|key| format!("{key} {} and {}", value(of_a.get(key)), value(of_b.get(key))));
    let told = told.collect::<Vec<_>>().join(", ");
    (!told.is_empty()).then(|| format!("parameters differ: {told}"))
}
