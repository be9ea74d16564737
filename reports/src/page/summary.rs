//! Section: the table of all cells, by question and then by workload.

use std::collections::BTreeSet;

use askama::Template;

use super::context::Page;
use super::number::{DoubtMark, Number};
use crate::format;
use crate::metric::{METRICS, Metric};
use crate::record::{Question, WorkloadEntry};
use crate::results::{CellResult, Complaint, DOUBTS, Doubt, Results, complaints, leading};

#[derive(Template)]
#[template(path = "summary.html")]
struct Summary<'a> {
    metrics: Vec<&'static Metric>,
    questions: Vec<Group<'a>>,
    interval: String,
    /// Doubts that at least one cell has.
    doubts: Vec<Doubt>,
    /// Reasons why some numbers are only lower bounds.
    bounds: BTreeSet<&'static str>,
}

/// The workloads of one question.
struct Group<'a> {
    title: &'a str,
    workloads: Vec<Workload<'a>>,
}

/// The cells of one workload.
struct Workload<'a> {
    index: usize,
    name: &'a str,
    rows: Vec<Row<'a>>,
}

/// One cell.
struct Row<'a> {
    subject: &'a str,
    doubt: Option<DoubtMark>,
    /// Sizes of the subject's pools, which belong to the result.
    sizes: Option<String>,
    /// Remarks below the subject's name.
    remarks: Vec<String>,
    /// Numbers of the cell, or the reason why there are none.
    numbers: Result<Vec<Number>, String>,
    failed_requests: u64,
    failed: String,
    rounds: String,
    /// True if rounds are missing or failed.
    incomplete: bool,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let results = page.results;
    let headline = METRICS.iter().filter(|metric| metric.headline && results.has(metric));
    let metrics: Vec<&'static Metric> = headline.collect();
    let in_doubt = |doubt: &Doubt| results.cells.iter().any(|cell| cell.doubts().contains(doubt));
    let questions = results.environment.questions.iter();
    let summary = Summary {
        questions: questions.map(|question| group(results, question, &metrics)).collect(),
        interval: results.interval(),
        doubts: DOUBTS.into_iter().filter(in_doubt).collect(),
        bounds: metrics.iter().filter_map(|metric| bound(results, metric)).collect(),
        metrics,
    };
    summary.render()
}

/// Returns the reason why some numbers of `metric` are lower bounds; `None` if all are exact.
fn bound(results: &Results, metric: &Metric) -> Option<&'static str> {
    let values = results.cells.iter().filter_map(|cell| cell.value(metric));
    metric.bound.filter(|_| values.clone().any(|value| value.at_least)).map(|bound| bound.reason)
}

fn group<'a>(
    results: &'a Results,
    question: &'a Question,
    metrics: &[&'static Metric],
) -> Group<'a> {
    let entries = results.environment.workloads.iter().enumerate();
    let asked = entries.filter(|(_, workload)| question.workloads.contains(&workload.name));
    let workload = |(index, workload): (usize, &'a WorkloadEntry)| Workload {
        index,
        name: &workload.name,
        rows: rows(results, index, metrics),
    };
    Group { title: &question.title, workloads: asked.map(workload).collect() }
}

fn rows<'a>(results: &'a Results, workload: usize, metrics: &[&'static Metric]) -> Vec<Row<'a>> {
    let cells: Vec<&CellResult> = results.of_workload(workload).collect();
    let leads: Vec<Vec<bool>> = metrics.iter().map(|metric| leading(&cells, metric)).collect();
    let rows = cells.iter().enumerate().map(|(index, cell)| {
        let numbers = metrics.iter().zip(&leads);
        let numbers =
            numbers.map(|(metric, leads)| Number::of(&cell.records, metric, leads[index]));
        let failed_requests = cell.sum(|summary| summary.requests.failed);
        Row {
            subject: results.subject_name(cell),
            doubt: DoubtMark::of(&cell.records),
            sizes: cell.sizes(),
            remarks: remarks(cell),
            numbers: cell
                .why_nothing()
                .map_or_else(|| Ok(numbers.collect()), |why| Err(explain(cell, why))),
            failed_requests,
            failed: format::count(failed_requests),
            rounds: format!("{}/{}", cell.rounds(), results.environment.rounds),
            incomplete: cell.rounds() < results.environment.rounds as usize,
        }
    });
    rows.collect()
}

/// Collects the remarks below the name of a cell.
fn remarks(cell: &CellResult) -> Vec<String> {
    let unserved = cell.unserved().map(|unserved| {
        format!(
            "{} requested, {} never served",
            format::count(unserved.asked),
            format::count(unserved.never_served)
        )
    });
    let failed = complaints(cell).into_iter().filter(Complaint::is_failure);
    let failed = failed.map(|complaint| format!("check {} failed", complaint.check));
    let never = cell.sum(|summary| summary.requests.never_answered);
    let never = (never > 0).then(|| format!("{} never answered", format::plural(never, "request")));
    unserved.into_iter().chain(never).chain(failed).collect()
}

fn explain(cell: &CellResult, why: &str) -> String {
    let mut failures = cell.failures();
    failures.next().map_or_else(|| why.to_owned(), |(_, error)| format!("{why}: {error}"))
}
