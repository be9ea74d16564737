//! Series: one metric of one cell over all blocks, turned so that larger is worse.

use c10k_reports::metric;
use c10k_reports::statistics::lead::Better;
use serde::{Deserialize, Serialize};

use crate::block::{Arm, Block, CellOfBlock, Slice};
use crate::margin::{Margin, Margins};
use crate::pairing;

/// A metric of a cell over the blocks of a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name of the workload.
    pub workload: String,
    /// Its quantity.
    pub quantity: Quantity,
    /// How much worse it may become, on the scale of `values`.
    pub margin: f64,
    /// Whether a gate is undecided for as long as this series is.
    pub decides: bool,
    /// Effect in each block; positive is worse.
    pub values: Vec<f64>,
}

/// What a series tells, and on which scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quantity {
    /// A metric by its key, as the logarithm of a ratio.
    Metric {
        /// Its key.
        key: String,
        /// Whether more is better, so that its sign is turned.
        more_is_better: bool,
    },
    /// The share of requests that failed, as a difference.
    FailedRequests,
    /// The share of slices in which this check failed, as a difference.
    FailedCheck(String),
}

/// A metric that can't be judged, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unjudged {
    /// Name of the workload.
    pub workload: String,
    /// Key of the metric.
    pub key: String,
    /// The reason, in a line.
    pub reason: String,
}

/// All series of `arm`, and what could not become one.
pub fn of(blocks: &[Block], arm: Arm, margins: &Margins) -> (Vec<Series>, Vec<Unjudged>) {
    let (mut series, mut unjudged) = (Vec::new(), Vec::new());
    for workload in workloads(blocks) {
        let cells: Vec<&CellOfBlock> = blocks.iter().filter_map(|block| cell(block, &workload)).collect();
        series.extend(failures(&workload, &cells, arm));
        for (key, margin) in margins.iter() {
            match of_metric(&workload, &cells, arm, (key, margin)) {
                Ok(one) => series.push(one),
                Err(reason) => {
                    unjudged.push(Unjudged { workload: workload.clone(), key: key.to_owned(), reason });
                }
            }
        }
    }
    (series, unjudged)
}

/// Names of the workloads, in the order of the first block.
fn workloads(blocks: &[Block]) -> Vec<String> {
    let mut names: Vec<String> = blocks
        .iter()
        .take(1)
        .flat_map(|block| block.cells.iter().map(|cell| cell.workload.clone()))
        .collect();
    names.sort_unstable();
    names
}

fn cell<'a>(block: &'a Block, workload: &str) -> Option<&'a CellOfBlock> {
    block.cells.iter().find(|cell| cell.workload == workload)
}

fn of_metric(
    workload: &str,
    cells: &[&CellOfBlock],
    arm: Arm,
    (key, margin): (&str, &Margin),
) -> Result<Series, String> {
    let better = metric::by_key(key).and_then(|metric| metric.better);
    let more_is_better = better == Some(Better::Higher);
    let sign = if more_is_better { -1.0 } else { 1.0 };
    let values: Vec<f64> = cells
        .iter()
        .filter_map(|cell| pairing::log_ratio(cell, arm, key, margin.floor))
        .map(|log_ratio| sign * log_ratio)
        .collect();
    if values.len() < cells.len() {
        return Err(format!("{} of {} blocks have no value", cells.len() - values.len(), cells.len()));
    }
    Ok(Series {
        workload: workload.to_owned(),
        quantity: Quantity::Metric { key: key.to_owned(), more_is_better },
        margin: margin.log(),
        decides: margin.decides,
        values,
    })
}

/// Series of what failed, where anything did.
fn failures(workload: &str, cells: &[&CellOfBlock], arm: Arm) -> Vec<Series> {
    let slices = || cells.iter().flat_map(|cell| &cell.slices);
    let mut checks: Vec<&String> = slices().flat_map(|slice| &slice.failed_checks).collect();
    checks.sort_unstable();
    checks.dedup();
    let mut series = Vec::new();
    if slices().any(|slice| slice.failed_share > 0.0) {
        series.extend(failure(workload, Quantity::FailedRequests, cells, arm, |slice| slice.failed_share));
    }
    for check in checks {
        let failed = |slice: &Slice| f64::from(u8::from(slice.failed_checks.contains(check)));
        series.extend(failure(workload, Quantity::FailedCheck(check.clone()), cells, arm, failed));
    }
    series
}

fn failure(
    workload: &str,
    quantity: Quantity,
    cells: &[&CellOfBlock],
    arm: Arm,
    of: impl Fn(&Slice) -> f64,
) -> Option<Series> {
    let values: Option<Vec<f64>> = cells.iter().map(|cell| pairing::difference(cell, arm, &of)).collect();
    Some(Series { workload: workload.to_owned(), quantity, margin: 0.0, decides: false, values: values? })
}

impl Quantity {
    /// What outputs call it.
    pub fn key(&self) -> &str {
        match self {
            Self::Metric { key, .. } => key,
            Self::FailedRequests => "failed_requests",
            Self::FailedCheck(check) => check,
        }
    }
}
