//! All charts of a run, and the names of their files.

use super::kind::{Figure, WorkloadChart};
use super::quantity::Quantity;
use super::{
    bars, curves, goodput_by_load, latency_by_load, latency_histogram, latency_percentiles,
};
use crate::file::slug;
use crate::metric::{Drawn, METRICS};
use crate::results::{Layout, Results};

/// Charts that show one workload, in addition to the bars of metrics, in the order of the page.
const PER_WORKLOAD: &[WorkloadChart] = &[
    latency_by_load::CHART,
    goodput_by_load::CHART,
    latency_percentiles::CHART,
    latency_histogram::CHART,
];

/// Most characters of a workload's name in the name of a file; a file system takes 255 bytes in
/// all.
const NAME_CHARACTERS: usize = 80;

/// All charts of a run.
#[derive(Debug)]
pub struct Figures {
    /// Charts of each question, in the order of the suite: one per metric with curves.
    pub questions: Vec<Vec<Figure>>,
    /// Charts of each workload, in the order of the suite.
    pub workloads: Vec<Vec<Figure>>,
}

impl Figures {
    /// Draws all charts of `results`.
    pub fn of(results: &Results) -> Self {
        let questions = 0..results.environment.questions.len();
        let workloads = 0..results.environment.workloads.len();
        Self {
            questions: questions.map(|index| of_question(results, index)).collect(),
            workloads: workloads.map(|index| of_workload(results, index)).collect(),
        }
    }

    /// Returns every chart, in the order of the page.
    pub fn all(&self) -> impl Iterator<Item = &Figure> {
        self.questions.iter().chain(&self.workloads).flatten()
    }
}

fn of_question(results: &Results, index: usize) -> Vec<Figure> {
    let question = &results.environment.questions[index];
    let Some(layout) = Layout::of(&results.environment, question) else { return Vec::new() };
    let metrics = METRICS.iter().filter(|metric| metric.drawn != Drawn::Nowhere);
    let figures = metrics.filter_map(|metric| {
        let quantity = Quantity::of(metric);
        Some(Figure {
            file_name: format!("question-{}-{}.svg", index + 1, metric.key),
            caption: quantity.caption(),
            svg: curves::draw(results, &layout, &quantity)?,
        })
    });
    figures.collect()
}

fn of_workload(results: &Results, workload: usize) -> Vec<Figure> {
    let name = file_stem(&results.environment.workloads[workload].name, workload);
    let metrics = METRICS.iter().filter(|metric| metric.drawn == Drawn::CurvesAndBars);
    let bars = metrics.filter_map(|metric| {
        let quantity = Quantity::of(metric);
        let svg = bars::draw(results, workload, &quantity)?;
        let file_name = format!("{name}-{}.svg", metric.key);
        Some(Figure { file_name, caption: quantity.caption(), svg })
    });
    let charts = PER_WORKLOAD.iter().filter_map(|chart| {
        let svg = (chart.draw)(results, workload)?;
        let file_name = format!("{name}-{}.svg", chart.name);
        Some(Figure { file_name, caption: chart.caption.to_owned(), svg })
    });
    bars.chain(charts).collect()
}

/// Returns the first part of the names of a workload's files. It contains the workload's place in
/// the suite, so that no two workloads share a name.
fn file_stem(name: &str, index: usize) -> String {
    let slug: String = slug(name).chars().take(NAME_CHARACTERS).collect();
    format!("workload-{}-{slug}", index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_stays_in_its_folder_and_is_not_shared() {
        assert_eq!(file_stem("../a/b", 0), "workload-1-..-a-b");
        assert_ne!(file_stem("a/b", 0), file_stem("a-b", 1));
        assert!(file_stem(&"x".repeat(300), 0).len() < 200);
    }
}
