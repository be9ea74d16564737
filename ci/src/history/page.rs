//! A history as a page: first the steps, then each series as a line with its intervals and steps.
//! The page is one file in the style of all pages, and the same history gives the same bytes.

use askama::Template;
use c10k_reports::{Error, document, format, metric};

use super::chart;
use super::series::{Group, History, Series, Step};
use super::text;
use crate::change_points::FEWEST;

#[derive(Template)]
#[template(path = "history.html")]
struct Page<'a> {
    file: &'a str,
    lead: String,
    fewest: usize,
    groups: Vec<OfGroup<'a>>,
}

struct OfGroup<'a> {
    anchor: &'a str,
    changed: Option<String>,
    machine: String,
    gates: String,
    steps: Vec<Row<'a>>,
    without: String,
    notes: Vec<String>,
    charts: Vec<String>,
}

/// A step in the table.
struct Row<'a> {
    revision: &'a str,
    date: String,
    workload: &'a str,
    metric: &'a str,
    size: String,
    is_worse: bool,
}

/// Renders the page of a history that was read from `file`.
///
/// # Errors
/// When its template can't be filled in.
pub fn page(history: &History, file: &str) -> Result<String, Error> {
    let groups = history.groups.iter().map(of_group).collect();
    let page = Page { file, lead: lead(history), fewest: FEWEST, groups };
    document("c10k: history", &[page.render()?])
}

fn lead(history: &History) -> String {
    let series = || history.groups.iter().flat_map(|group| &group.series);
    let steps = || series().flat_map(|series| &series.steps);
    let worse = steps().filter(|step| step.is_worse == Some(true)).count();
    match steps().count() {
        0 => format!("No step in {}.", format::plural(series().count() as u64, "metric")),
        steps => format!("{}, {worse} for the worse.", format::plural(steps as u64, "step")),
    }
}

fn of_group(group: &Group) -> OfGroup<'_> {
    // A reader looks for changes first, so series with a step come first.
    let mut series: Vec<&Series> = group.series.iter().collect();
    series.sort_by_key(|series| series.steps.is_empty());
    OfGroup {
        anchor: text::short(&group.key.anchor),
        changed: text::changed(group),
        machine: text::machine(group),
        gates: text::gates(group),
        steps: group.steps().into_iter().map(|(series, step)| row(series, step)).collect(),
        without: text::without_step(group),
        notes: group.series.iter().flat_map(|series| text::notes(series, group.gates)).collect(),
        charts: series.into_iter().map(|series| chart::draw(group, series)).collect(),
    }
}

fn row<'a>(series: &'a Series, step: &Step) -> Row<'a> {
    let point = series.point(step.at);
    Row {
        revision: text::short(&point.revision),
        date: format::date(&point.time),
        workload: &series.workload,
        metric: metric::by_key(&series.metric)
            .map_or(series.metric.as_str(), |metric| metric.title),
        size: text::size(step),
        is_worse: step.is_worse == Some(true),
    }
}
