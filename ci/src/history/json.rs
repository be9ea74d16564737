//! A history as one JSON object, version 1.

use serde::Serialize;

use super::entry::Fingerprint;
use super::series::{Group, History, Series, Step};

#[derive(Serialize)]
struct Whole<'a> {
    version: u32,
    groups: Vec<OfGroup<'a>>,
}

#[derive(Serialize)]
struct OfGroup<'a> {
    machine: &'a Fingerprint,
    anchor: &'a str,
    suite: &'a str,
    /// Parts of the key that differ from the group before.
    changed: &'a [&'static str],
    gates: usize,
    series: Vec<OfSeries<'a>>,
}

#[derive(Serialize)]
struct OfSeries<'a> {
    workload: &'a str,
    metric: &'a str,
    values: usize,
    missing: usize,
    /// Ratio of revision to anchor, by level.
    levels: Vec<f64>,
    steps: Vec<OfStep<'a>>,
    far_out: Vec<OfFarOut<'a>>,
}

#[derive(Serialize)]
struct OfStep<'a> {
    first_revision: &'a str,
    time: &'a str,
    /// Ratio of the new level to the level before it.
    ratio: f64,
    low: Option<f64>,
    high: Option<f64>,
    worse: Option<bool>,
}

#[derive(Serialize)]
struct OfFarOut<'a> {
    revision: &'a str,
    /// Ratio of the value to the middle of its level.
    ratio: f64,
    newest: bool,
}

/// Writes a history.
///
/// # Errors
/// When a number has no JSON form.
pub fn write(history: &History) -> serde_json::Result<String> {
    let whole = Whole { version: 1, groups: history.groups.iter().map(group).collect() };
    Ok(serde_json::to_string_pretty(&whole)? + "\n")
}

fn group(group: &Group) -> OfGroup<'_> {
    OfGroup {
        machine: &group.key.machine,
        anchor: &group.key.anchor,
        suite: &group.key.suite,
        changed: &group.changed,
        gates: group.gates,
        series: group.series.iter().map(series).collect(),
    }
}

fn series(series: &Series) -> OfSeries<'_> {
    let far_out = series.far_out.iter().map(|one| OfFarOut {
        revision: &series.point(one.at).revision,
        ratio: one.ratio,
        newest: one.is_newest,
    });
    OfSeries {
        workload: &series.workload,
        metric: &series.metric,
        values: series.points.len(),
        missing: series.missing,
        levels: series.levels.iter().map(|level| level.middle).collect(),
        steps: series.steps.iter().map(|one| step(series, one)).collect(),
        far_out: far_out.collect(),
    }
}

fn step<'a>(series: &'a Series, step: &Step) -> OfStep<'a> {
    let point = series.point(step.at);
    let (low, high) = step.interval.unzip();
    OfStep {
        first_revision: &point.revision,
        time: &point.time,
        ratio: step.ratio,
        low,
        high,
        worse: step.is_worse,
    }
}
