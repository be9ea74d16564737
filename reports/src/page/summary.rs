//! Section: the table of all cells.

use askama::Template;

use super::Page;
use crate::format;
use crate::results::{CellResult, Results};
use crate::statistics::lead::{Better, leaders};
use crate::statistics::spread::Spread;

#[derive(Template)]
#[template(path = "summary.html")]
struct Summary<'a> {
    groups: Vec<Group<'a>>,
    interval: String,
    flagged: bool,
}

/// The cells of one workload.
struct Group<'a> {
    index: usize,
    name: &'a str,
    rows: Vec<Row<'a>>,
}

/// One cell.
struct Row<'a> {
    subject: &'a str,
    /// Its numbers, or in their place why there are none.
    numbers: Result<Numbers, String>,
    rounds: String,
    /// Whether rounds are missing or failed.
    incomplete: bool,
}

struct Numbers {
    throughput: Value,
    latencies: [String; 3],
    cpu: Value,
    memory: String,
    failed: String,
    has_failed: bool,
    starved: u64,
}

/// A median with its spread.
struct Value {
    median: String,
    spread: String,
    leads: bool,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let results = page.results;
    let workloads = results.environment.workloads.iter().enumerate();
    let groups =
        workloads.map(|(index, workload)| Group { index, name: &workload.name, rows: rows(results, index) });
    let summary = Summary {
        groups: groups.collect(),
        interval: results.interval(),
        flagged: results.cells.iter().any(CellResult::has_failed_requests),
    };
    summary.render()
}

fn rows(results: &Results, workload: usize) -> Vec<Row<'_>> {
    let cells: Vec<&CellResult> = results.of_workload(workload).collect();
    let fast = leading(&cells, CellResult::throughput_rps, Better::Higher);
    let frugal = leading(&cells, CellResult::cpu_us_per_request, Better::Lower);
    let rows = cells.iter().zip(fast.into_iter().zip(frugal)).map(|(cell, (fast, frugal))| Row {
        subject: results.subject_name(cell),
        numbers: cell
            .why_nothing()
            .map_or_else(|| Ok(numbers(cell, fast, frugal)), |why| Err(explain(cell, why))),
        rounds: format!("{}/{}", cell.measured.len(), results.environment.rounds),
        incomplete: cell.measured.len() < results.environment.rounds as usize,
    });
    rows.collect()
}

/// Who leads among `cells`. A cell with failed requests leads nothing, for errors are fast and cheap, and neither does one
/// that left connections unserved, for those who are not served cost nothing.
fn leading(cells: &[&CellResult], value: fn(&CellResult) -> Option<Spread>, better: Better) -> Vec<bool> {
    let sound = |cell: &&CellResult| {
        if cell.has_failed_requests() || cell.has_unserved_connections() { None } else { value(cell) }
    };
    leaders(&cells.iter().map(sound).collect::<Vec<_>>(), better)
}

fn explain(cell: &CellResult, why: &str) -> String {
    cell.failures.first().map_or_else(|| why.to_owned(), |failure| format!("{why}: {}", failure.error))
}

fn numbers(cell: &CellResult, fast: bool, frugal: bool) -> Numbers {
    let latency = |quantile| cell.time_ns("latency", quantile).map(|ns| format::time_ns(ns as f64));
    let failed = cell.sum(|summary| summary.requests.failed);
    Numbers {
        throughput: value(cell.throughput_rps(), fast),
        latencies: [0.5, 0.99, 0.999].map(|quantile| latency(quantile).unwrap_or_else(missing)),
        cpu: value(cell.cpu_us_per_request(), frugal),
        memory: cell.memory_bytes().map_or_else(missing, |spread| format::bytes(spread.median)),
        failed: format::count(failed),
        has_failed: cell.has_failed_requests(),
        starved: cell.sum(|summary| summary.connections.starved),
    }
}

fn value(spread: Option<Spread>, leads: bool) -> Value {
    let number = format::significant;
    let median = spread.map_or_else(missing, |spread| number(spread.median));
    let repeated = spread.filter(|spread| spread.rounds > 1);
    let spread = repeated.map(|spread| format!("{}–{}", number(spread.low), number(spread.high)));
    Value { median, spread: spread.unwrap_or_default(), leads }
}

fn missing() -> String {
    format::MISSING.to_owned()
}
