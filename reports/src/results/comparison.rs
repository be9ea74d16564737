//! Comparison of the cells of one workload, which leaves out every cell whose numbers are in doubt.

use super::cell::CellResult;
use crate::metric::Metric;
use crate::statistics::lead::leaders;

/// For each of `cells` whether it leads in `metric`. A cell in doubt neither leads nor takes a lead
/// from another; a metric without a better way, or
/// one that is not marked, has no leaders.
pub fn leading(cells: &[&CellResult], metric: &Metric) -> Vec<bool> {
    let Some(better) = metric.better.filter(|_| metric.marked) else { return vec![false; cells.len()] };
    leaders(&cells.iter().map(|cell| cell.comparable(metric)).collect::<Vec<_>>(), better)
}
