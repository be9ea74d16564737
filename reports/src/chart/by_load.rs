//! Code that the charts of a quantity by load share. They show cells whose capacity was searched
//! for, and which were then measured at shares of that capacity.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::palette::look;
use super::reading::doubts_note;
use super::single::{self, Single};
use crate::record::SearchStep;
use crate::results::{CellResult, Results};
use crate::statistics::spread::Spread;

/// Quantity of a step after a search.
pub struct ByLoad {
    /// First part of the chart's title.
    pub title: &'static str,
    /// Note below the title.
    pub note: &'static str,
    /// Function that returns the value of a step; `None` if the step has too few requests for it.
    /// The second argument is the rate that the search found.
    pub of: fn(&SearchStep, f64) -> Option<f64>,
    /// Function that creates the axis from the smallest to the largest value.
    pub axis: fn(f64, f64) -> Axis,
}

/// Draws the quantity for the workload with this index; `None` if no cell of the workload was
/// searched.
pub fn draw(by_load: &ByLoad, results: &Results, workload: usize) -> Option<String> {
    let cells: Vec<&CellResult> = results.of_workload(workload).collect();
    let curves: Vec<(&CellResult, Vec<Point>)> = cells
        .iter()
        .map(|cell| (*cell, points(cell, by_load.of)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let points = || curves.iter().flat_map(|(_, points)| points);
    let low = points().map(|point| point.spread.low).reduce(f64::min)?;
    let high = points().map(|point| point.spread.high).reduce(f64::max)?;
    let mut shares: Vec<f64> = points().map(|point| point.share).collect();
    shares.sort_unstable_by(f64::total_cmp);
    shares.dedup();
    let marks =
        shares.into_iter().map(|share| (share, format!("{:.0} %", share * 100.0))).collect();
    let x = Axis::of_marks("offered load, as a share of the capacity", marks, None);
    let y = (by_load.axis)(low, high);

    let title = format!("{}: {}", by_load.title, results.environment.workloads[workload].name);
    let note = format!(
        "{}; point: median, whisker: {}{}",
        by_load.note,
        results.interval(),
        doubts_note(&cells)
    );
    let chart = Single { title: &title, note: &note, x, y };
    Some(chart.draw(results, &cells, |canvas, panel| {
        for (cell, points) in &curves {
            let look = look(cell.subject);
            let in_doubt = !cell.doubts().is_empty();
            let places: Vec<_> =
                points.iter().map(|point| panel.at(point.share, point.spread.median)).collect();
            single::curve(canvas, &places, look, in_doubt);
            for (point, place) in points.iter().zip(places) {
                let Spread { low, high, .. } = point.spread;
                canvas.whisker(panel.at(point.share, low), panel.at(point.share, high), look.color);
                single::point(canvas, place, look, in_doubt);
            }
        }
    }))
}

/// A point of a curve.
struct Point {
    share: f64,
    spread: Spread,
}

/// Returns the points of a cell, each over its rounds, from the lowest load to the highest.
fn points(cell: &CellResult, of: fn(&SearchStep, f64) -> Option<f64>) -> Vec<Point> {
    let mut rounds: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for search in cell.records.iter().filter_map(|record| record.search.as_ref()) {
        for step in &search.steps {
            if let (Some(percent), Some(value)) = (step.percent(), of(step, search.holds_rps)) {
                rounds.entry(percent).or_default().push(value);
            }
        }
    }
    let point = |(percent, values): (u32, Vec<f64>)| {
        Some(Point { share: f64::from(percent) / 100.0, spread: Spread::of(&values)? })
    };
    rounds.into_iter().filter_map(point).collect()
}
