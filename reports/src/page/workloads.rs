//! Section: one part per workload, with its charts, its problems, all its metrics, the stages of a
//! request, and every measurement.

use std::slice;

use askama::Template;
use c10k_loadgen::check::Effect;

use super::context::{Chart, Page};
use super::number::Number;
use crate::format;
use crate::metric::{METRICS, Metric, by_key};
use crate::record::{Record, WorkloadEntry};
use crate::results::{CellResult, Complaint, Doubt, Results, complaints, leading};

#[derive(Template)]
#[template(path = "workload.html")]
struct Workload<'a> {
    index: usize,
    entry: &'a WorkloadEntry,
    problems: Vec<Problem<'a>>,
    /// Subjects whose throughput is only a lower bound.
    bounds: String,
    charts: Vec<Chart<'a>>,
    /// Metrics that at least one cell has a value of; the values are in `rows`.
    metrics: Vec<&'static Metric>,
    rows: Vec<Row<'a>>,
    /// Titles of the stages of a request; the percentiles of the stages are in `stage_rows`.
    stages: Vec<&'static str>,
    stage_rows: Vec<Row<'a>>,
    /// Metrics of the table of measurements.
    headlines: Vec<&'static Metric>,
    measurements: Vec<Measurement<'a>>,
}

/// A problem of one cell.
struct Problem<'a> {
    subject: &'a str,
    text: String,
}

/// All metrics of one cell.
struct Row<'a> {
    subject: &'a str,
    numbers: Vec<Number>,
}

/// One round of one cell.
struct Measurement<'a> {
    subject: &'a str,
    round: u32,
    /// Number of workers, or a dash.
    workers: String,
    /// Number of threads that run handlers, or a dash.
    handler_threads: String,
    /// Numbers of the round, or its error.
    numbers: Result<Numbers, &'a str>,
}

/// The numbers of one round.
struct Numbers {
    /// Length of the measured part.
    length: String,
    metrics: Vec<Number>,
    /// Completed and failed requests, and connections opened.
    counts: [String; 3],
}

/// Stages of a request in the order of time, followed by the times that they add up to. Each entry
/// has a title, and the keys of the median and of the 99th percentile.
const STAGES: [(&str, [&str; 2]); 5] = [
    ("Connect wait", ["connect_wait_p50_us", "connect_wait_p99_us"]),
    ("Connect", ["connect_p50_us", "connect_p99_us"]),
    ("First byte", ["first_byte_p50_us", "first_byte_p99_us"]),
    ("Response", ["response_p50_us", "response_p99_us"]),
    ("Latency", ["latency_p50_us", "latency_p99_us"]),
];

pub fn render(page: &Page) -> askama::Result<String> {
    let workloads = page.results.environment.workloads.iter().enumerate();
    workloads.map(|(index, workload)| render_one(page, index, workload)).collect()
}

fn render_one(page: &Page, index: usize, workload: &WorkloadEntry) -> askama::Result<String> {
    let results = page.results;
    let cells: Vec<&CellResult> = results.of_workload(index).collect();
    let has = |metric: &&Metric| cells.iter().any(|cell| cell.value(metric).is_some());
    let metrics: Vec<&Metric> = METRICS.iter().filter(has).collect();
    let headlines: Vec<&Metric> =
        metrics.iter().copied().filter(|metric| metric.headline).collect();
    let measurements = cells.iter().flat_map(|cell| measurements(results, cell, &headlines));
    let section = Workload {
        index,
        entry: workload,
        problems: cells.iter().flat_map(|cell| problems(results, cell)).collect(),
        bounds: bounds(results, &cells),
        charts: page.charts(&page.figures.workloads[index]),
        rows: rows(results, &cells, &metrics),
        stages: STAGES.iter().map(|(title, _)| *title).collect(),
        stage_rows: rows(results, &cells, &stages()),
        measurements: measurements.collect(),
        metrics,
        headlines,
    };
    section.render()
}

/// Lists the reasons to doubt the numbers of a cell, in words.
fn problems<'a>(results: &'a Results, cell: &'a CellResult) -> Vec<Problem<'a>> {
    let mut texts: Vec<String> = Vec::new();
    texts.extend(
        cell.failures().map(|(record, error)| format!("failed in round {}: {error}", record.round)),
    );
    if cell.records.is_empty() {
        texts.extend(cell.why_nothing().map(str::to_owned));
    }
    if cell.doubts().contains(&Doubt::FailedRequests) {
        let failed = format::count(cell.sum(|summary| summary.requests.failed));
        let sent = format::plural(cell.sum(|summary| summary.requests.sent), "request");
        texts.push(format!("{failed} of {sent} failed (errors: {})", cell.errors_by_kind()));
    }
    texts.extend(cell.unserved().map(|unserved| {
        let asked = format::count(unserved.asked);
        let never = format::count(unserved.never_served);
        format!(
            "{asked} connections requested, {never} never served; percentiles and costs are of the \
             served connections only"
        )
    }));
    texts.extend(never_answered(cell));
    texts.extend(start_up(cell));
    let failed = complaints(cell).into_iter().filter(Complaint::is_failure);
    texts.extend(failed.map(|complaint| {
        let rounds = complaint.rounds_in_words();
        format!("not valid, check {} failed: {} ({rounds})", complaint.check, complaint.detail)
    }));
    let subject = results.subject_name(cell);
    texts.into_iter().map(|text| Problem { subject, text }).collect()
}

/// Describes the requests of all rounds that were never answered; `None` if there are none.
fn never_answered(cell: &CellResult) -> Option<String> {
    let never = cell.sum(|summary| summary.requests.never_answered);
    let sentence =
        || format!("{} never answered; percentiles that rest on them are bounds", count_of(never));
    (never > 0).then(sentence)
}

fn count_of(requests: u64) -> String {
    format::plural(requests, "request")
}

/// Describes the connections that were still starting up when the measured part began, in the round
/// with the most of them; `None` if there are none.
fn start_up(cell: &CellResult) -> Option<String> {
    let start_ups = cell.measured().filter_map(|(_, summary)| summary.start_up);
    let worst =
        start_ups.max_by_key(|start_up| start_up.unserved).filter(|worst| worst.unserved > 0)?;
    Some(format!(
        "the measured part began with {} not served yet, of which {} had a first response within it",
        format::plural(worst.unserved, "connection"),
        format::count(worst.served_later)
    ))
}

/// Lists the names of the subjects whose throughput is only a lower bound.
fn bounds(results: &Results, cells: &[&CellResult]) -> String {
    let bounded = cells.iter().filter(|cell| cell.has_effect(Effect::ThroughputIsABound));
    bounded.map(|cell| results.subject_name(cell)).collect::<Vec<_>>().join(", ")
}

fn rows<'a>(results: &'a Results, cells: &[&CellResult], metrics: &[&Metric]) -> Vec<Row<'a>> {
    let leads: Vec<Vec<bool>> = metrics.iter().map(|metric| leading(cells, metric)).collect();
    let row = |(index, cell): (usize, &&CellResult)| Row {
        subject: results.subject_name(cell),
        numbers: metrics
            .iter()
            .zip(&leads)
            .map(|(metric, leads)| Number::of(&cell.records, metric, leads[index]))
            .collect(),
    };
    cells.iter().enumerate().map(row).collect()
}

/// Returns the metrics of all stages.
fn stages() -> Vec<&'static Metric> {
    STAGES.iter().flat_map(|(_, keys)| keys).filter_map(|key| by_key(key)).collect()
}

/// Lists every measurement of a cell by round, failed ones included.
fn measurements<'a>(
    results: &'a Results,
    cell: &'a CellResult,
    metrics: &[&Metric],
) -> Vec<Measurement<'a>> {
    let subject = results.subject_name(cell);
    let size = |size: Option<u64>| size.map_or_else(|| format::MISSING.to_owned(), format::count);
    let measurement = |record: &Record, numbers| Measurement {
        subject,
        round: record.round,
        workers: size(record.workers()),
        handler_threads: size(record.handler_threads()),
        numbers,
    };
    let measured = cell.measured().map(|(record, summary)| {
        let requests = summary.requests;
        let counts = [requests.completed, requests.failed, summary.connections.opened_total];
        let numbers = Numbers {
            length: format::time_ns(summary.duration_s * 1e9),
            metrics: metrics.iter().map(|metric| of_round(record, metric)).collect(),
            counts: counts.map(format::count),
        };
        measurement(record, Ok(numbers))
    });
    let failed = cell.failures().map(|(record, error)| measurement(record, Err(error)));
    let mut all: Vec<Measurement> = measured.chain(failed).collect();
    all.sort_by_key(|measurement| measurement.round);
    all
}

fn of_round(record: &Record, metric: &Metric) -> Number {
    Number::of(slice::from_ref(record), metric, false)
}
