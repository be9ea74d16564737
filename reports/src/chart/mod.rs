//! Charts: one file per chart, drawn by `plotters` as SVG text. A chart is a function from results to SVG, listed below.
//!
//! Charts are 560 px wide, so that their text stays readable where the page shrinks them to a phone's width, and two fit
//! side by side on a desk. All of them take colour, dash and marker of a subject from [`palette`], so that a subject looks
//! the same everywhere, in colour and in grey.

mod axis;
mod bars;
mod canvas;
mod connections;
mod cpu_per_request;
mod latency_histogram;
mod latency_percentiles;
mod legend;
mod overview_cpu;
mod overview_throughput;
mod palette;
mod panel;
mod throughput;

use std::collections::BTreeMap;

use crate::file::slug;
use crate::results::{CellResult, Results};

/// Stands behind the name or the number of a cell with failed requests.
pub const FLAG: &str = "\u{a0}†";

/// Charts that show the whole run, in the order of the page.
const OVERVIEW: &[OverviewChart] = &[overview_throughput::CHART, overview_cpu::CHART];

/// Charts that show one workload, named by its index, in the order of the page.
const PER_WORKLOAD: &[WorkloadChart] =
    &[throughput::CHART, cpu_per_request::CHART, latency_percentiles::CHART, latency_histogram::CHART];

/// A kind of chart.
struct Chart<Draw> {
    /// Begins the name of its files.
    name: &'static str,
    /// What a reader has to know to read it.
    caption: &'static str,
    /// Draws it, or nothing where the results hold nothing for it.
    draw: Draw,
}

/// A kind of chart that shows the whole run.
type OverviewChart = Chart<fn(&Results) -> Option<String>>;

/// A kind of chart that shows one workload, given by its index.
type WorkloadChart = Chart<fn(&Results, usize) -> Option<String>>;

/// A chart that was drawn.
#[derive(Debug)]
pub struct Figure {
    /// Name of its file in the run's folder.
    pub file_name: String,
    /// What a reader has to know to read it.
    pub caption: &'static str,
    /// The whole SVG document.
    pub svg: String,
}

/// All charts of a run.
#[derive(Debug)]
pub struct Figures {
    /// Those of the whole run.
    pub overview: Vec<Figure>,
    /// Those of each workload, in the order of the suite.
    pub workloads: Vec<Vec<Figure>>,
}

impl Figures {
    /// Draws all charts of `results`.
    pub fn of(results: &Results) -> Self {
        let overview = OVERVIEW.iter().filter_map(|chart| {
            let svg = (chart.draw)(results)?;
            Some(Figure { file_name: format!("{}.svg", chart.name), caption: chart.caption, svg })
        });
        let workloads = 0..results.environment.workloads.len();
        Self {
            overview: overview.collect(),
            workloads: workloads.map(|index| of_workload(results, index)).collect(),
        }
    }

    /// Every chart, in the order of the page.
    pub fn all(&self) -> impl Iterator<Item = &Figure> {
        self.overview.iter().chain(self.workloads.iter().flatten())
    }
}

fn of_workload(results: &Results, workload: usize) -> Vec<Figure> {
    let suffix = file_suffix(&results.environment.workloads[workload].name, workload);
    let charts = PER_WORKLOAD.iter().filter_map(|chart| {
        let svg = (chart.draw)(results, workload)?;
        Some(Figure { file_name: format!("{}-{suffix}.svg", chart.name), caption: chart.caption, svg })
    });
    charts.collect()
}

/// The workload's name where it can stand in a file name; otherwise with its index, so that no two share a file.
fn file_suffix(name: &str, index: usize) -> String {
    let slug = slug(name);
    if slug == name { slug } else { format!("{slug}-{}", index + 1) }
}

/// What [`FLAG`] means, for a subtitle, where one of `cells` has it.
fn flags_note(cells: &[&CellResult]) -> &'static str {
    if cells.iter().any(|cell| cell.has_failed_requests()) { ", †: requests failed" } else { "" }
}

/// Index and label of each subject among `cells`, in the order of the suite.
fn legend_labels(results: &Results, cells: &[&CellResult]) -> impl Iterator<Item = (usize, String)> {
    let mut subjects: BTreeMap<usize, Vec<&CellResult>> = BTreeMap::new();
    for cell in cells {
        subjects.entry(cell.subject).or_default().push(cell);
    }
    subjects.into_iter().map(|(subject, cells)| {
        let name = &results.environment.subjects[subject].name;
        let flag = if cells.iter().any(|cell| cell.has_failed_requests()) { FLAG } else { "" };
        let failed = if cells.iter().all(|cell| cell.measured.is_empty()) { " (no result)" } else { "" };
        (subject, format!("{name}{flag}{failed}"))
    })
}
