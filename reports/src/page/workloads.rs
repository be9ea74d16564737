//! Section: one part per workload, with its charts, its failures, where the time goes, and every measurement.

use askama::Template;

use super::{Chart, Page};
use crate::format;
use crate::record::WorkloadEntry;
use crate::results::{CellResult, Measured, Results};

#[derive(Template)]
#[template(path = "workload.html")]
struct Workload<'a> {
    index: usize,
    entry: &'a WorkloadEntry,
    problems: Vec<Problem<'a>>,
    charts: Vec<Chart<'a>>,
    stages: Vec<Stages<'a>>,
    measurements: Vec<Measurement<'a>>,
}

/// What went wrong in one cell.
struct Problem<'a> {
    subject: &'a str,
    text: String,
}

/// Percentiles of the stages of a request: the connection, the first byte, the last byte.
struct Stages<'a> {
    subject: &'a str,
    /// The 50th and 99th percentile of each.
    times: Vec<[String; 2]>,
}

/// One round of one cell.
struct Measurement<'a> {
    subject: &'a str,
    round: u32,
    /// Its numbers, or its error.
    numbers: Result<[String; 6], &'a str>,
}

/// Tags of the stages, in the order of time.
const STAGES: [&str; 3] = ["connect", "first_byte", "latency"];

pub fn render(page: &Page) -> askama::Result<String> {
    let workloads = page.results.environment.workloads.iter().enumerate();
    workloads.map(|(index, workload)| render_one(page, index, workload)).collect()
}

fn render_one(page: &Page, index: usize, workload: &WorkloadEntry) -> askama::Result<String> {
    let results = page.results;
    let cells = || results.of_workload(index);
    let section = Workload {
        index,
        entry: workload,
        problems: cells().flat_map(|cell| problems(results, cell)).collect(),
        charts: page.charts(&page.figures.workloads[index]),
        stages: cells().map(|cell| stages(results, cell)).collect(),
        measurements: cells().flat_map(|cell| measurements(results, cell)).collect(),
    };
    section.render()
}

fn problems<'a>(results: &'a Results, cell: &'a CellResult) -> Vec<Problem<'a>> {
    let mut texts: Vec<String> = Vec::new();
    texts.extend(
        cell.failures.iter().map(|failure| format!("failed in round {}: {}", failure.round, failure.error)),
    );
    if cell.measured.is_empty() && cell.failures.is_empty() {
        texts.extend(cell.why_nothing().map(str::to_owned));
    }
    if cell.has_failed_requests() {
        let failed = cell.sum(|summary| summary.requests.failed);
        let sent = cell.sum(|summary| summary.requests.sent);
        let (failed, sent) = (format::count(failed), format::plural(sent, "request"));
        texts.push(format!("{failed} of {sent} failed (errors: {})", cell.errors_by_kind()));
    }
    let requested = cell.sum(|summary| summary.connections.requested);
    let of_requested = |count: u64, what: &str| {
        let (count, requested) = (format::count(count), format::plural(requested, "connection"));
        format!("{count} of {requested} over all rounds {what}")
    };
    let established = cell.sum(|summary| summary.connections.established);
    if established < requested {
        texts.push(of_requested(requested - established, "never stood"));
    }
    let starved = cell.sum(|summary| summary.connections.starved);
    if starved > 0 {
        texts.push(of_requested(starved, "stood but were never answered"));
    }
    let subject = results.subject_name(cell);
    texts.into_iter().map(|text| Problem { subject, text }).collect()
}

fn stages<'a>(results: &'a Results, cell: &CellResult) -> Stages<'a> {
    let at = |tag: &str, quantile: f64| {
        cell.time_ns(tag, quantile)
            .map_or_else(|| format::MISSING.to_owned(), |ns| format::time_ns(ns as f64))
    };
    let times = STAGES.iter().map(|tag| [at(tag, 0.5), at(tag, 0.99)]).collect();
    Stages { subject: results.subject_name(cell), times }
}

/// Every measurement of a cell by round, whatever came of it.
fn measurements<'a>(results: &'a Results, cell: &'a CellResult) -> Vec<Measurement<'a>> {
    let subject = results.subject_name(cell);
    let measured = cell.measured.iter().map(|measured| (measured.round, Ok(numbers(measured))));
    let failed = cell.failures.iter().map(|failure| (failure.round, Err(failure.error.as_str())));
    let mut all: Vec<Measurement> =
        measured.chain(failed).map(|(round, numbers)| Measurement { subject, round, numbers }).collect();
    all.sort_by_key(|measurement| measurement.round);
    all
}

fn numbers(measured: &Measured) -> [String; 6] {
    let missing = || format::MISSING.to_owned();
    let summary = &measured.summary;
    let metric = |key: &str| measured.metrics.get(key).copied();
    [
        format::significant(summary.throughput_rps),
        metric("server_cpu_us_per_request").map_or_else(missing, format::significant),
        format::count(summary.requests.completed),
        format::count(summary.requests.failed),
        format::count(summary.connections.opened_total),
        metric("tasks").map_or_else(missing, |tasks| format::count(tasks as u64)),
    ]
}
