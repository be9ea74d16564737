//! Section: readings that are missing, and the reasons, so that a dash in a table is explained.

use std::collections::BTreeMap;

use askama::Template;

use super::context::Page;
use crate::format;
use crate::results::Results;

#[derive(Template)]
#[template(path = "missing.html")]
struct Missing<'a> {
    readings: Vec<Reading<'a>>,
}

/// Missing readings of one probe, for one reason.
struct Reading<'a> {
    probe: &'a str,
    reason: &'a str,
    /// Number of measurements that lack the readings, and their subjects.
    extent: String,
}

pub fn render(page: &Page) -> askama::Result<String> {
    let readings = readings(page.results);
    if readings.is_empty() { Ok(String::new()) } else { Missing { readings }.render() }
}

fn readings(results: &Results) -> Vec<Reading<'_>> {
    let mut found: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for cell in &results.cells {
        for (probe, reason) in cell.records.iter().flat_map(|record| &record.missing) {
            found.entry((probe, reason)).or_default().push(cell.subject);
        }
    }
    let reading = |((probe, reason), subjects): ((_, _), Vec<usize>)| Reading {
        probe,
        reason,
        extent: extent(results, subjects),
    };
    found.into_iter().map(reading).collect()
}

/// Describes the measurements, such as `3 measurements of fork, epoll` or `12 measurements of all
/// subjects`. `subjects` has one entry per measurement.
fn extent(results: &Results, mut subjects: Vec<usize>) -> String {
    let measurements = format::plural(subjects.len() as u64, "measurement");
    subjects.sort_unstable();
    subjects.dedup();
    if subjects.len() == results.environment.subjects.len() {
        return format!("{measurements} of all subjects");
    }
    let names = subjects.iter().map(|index| results.environment.subjects[*index].name.as_str());
    format!("{measurements} of {}", names.collect::<Vec<_>>().join(", "))
}
