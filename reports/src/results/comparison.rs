//! Comparison of the cells of one workload, which leaves out every cell whose numbers are in doubt.

use super::cell::CellResult;
use crate::metric::Metric;
use crate::statistics::lead::leaders;

/// Returns true for each of `cells` that leads in `metric`. A cell in doubt neither leads nor takes
/// a lead from another cell. A metric has no leaders if neither direction is better, or if it is
/// not marked.
pub fn leading(cells: &[&CellResult], metric: &Metric) -> Vec<bool> {
    let Some(better) = metric.better.filter(|_| metric.marked) else {
        return vec![false; cells.len()];
    };
    leaders(&cells.iter().map(|cell| cell.comparable(metric)).collect::<Vec<_>>(), better)
}
