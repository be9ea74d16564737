//! Section: what could not be read, and why, so that a dash in a table is explained.

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

/// Readings that one probe lacks for one reason.
struct Reading<'a> {
    probe: &'a str,
    reason: &'a str,
    /// In how many measurements, and of which subjects where it is not all.
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

/// Such as `3 measurements of fork and epoll`; `subjects` has an entry per measurement.
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
