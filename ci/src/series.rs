//! Series: one metric of one cell over all blocks, with its sign chosen so that larger is worse.

use c10k_reports::metric;
use c10k_reports::statistics::lead::Better;
use serde::{Deserialize, Serialize};

use crate::block::{Arm, Block, CellOfBlock, Slice};
use crate::margin::{Margin, Margins};
use crate::pairing;

/// Fewest blocks in which a server must fail for its failures to decide, if no other server fails.
/// A failure in one block also happens to identical servers.
const FAILING_BLOCKS: usize = 2;

/// A metric of a cell over the blocks of a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name of the workload.
    pub workload: String,
    /// Quantity that is compared.
    pub quantity: Quantity,
    /// Largest tolerated worsening, on the scale of `values`.
    pub margin: f64,
    /// True if the gate stays undecided while this series is undecided.
    pub decides: bool,
    /// Effect in each block; positive is worse.
    pub values: Vec<f64>,
}

/// Quantity of a series, with its scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quantity {
    /// A metric by its key, as the logarithm of a ratio.
    Metric {
        /// Key of the metric.
        key: String,
        /// True if more is better; the sign of the values is then inverted.
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
    /// True if the missing metric makes the gate undecided: the metric decides, and some blocks
    /// have values of it.
    #[serde(default)]
    pub decides: bool,
}

/// Returns all series of `arm`, failures first, and the metrics that can't be judged.
pub fn of(blocks: &[Block], arm: Arm, margins: &Margins) -> (Vec<Series>, Vec<Unjudged>) {
    let mut failed = Vec::new();
    let mut series = Vec::new();
    let mut unjudged = Vec::new();
    for workload in workloads(blocks) {
        let cells: Vec<Option<&CellOfBlock>> =
            blocks.iter().map(|block| cell(block, &workload)).collect();
        failed.extend(failures(&workload, &cells, arm));
        for of in margins.iter() {
            match of_metric(&workload, &cells, arm, of) {
                Ok(one) => series.push(one),
                Err(one) => unjudged.push(one),
            }
        }
    }
    failed.append(&mut series);
    (failed, unjudged)
}

/// Returns the names of the workloads in alphabetical order. Their order in the blocks is random.
fn workloads(blocks: &[Block]) -> Vec<String> {
    let cells = blocks.iter().flat_map(|block| &block.cells);
    let mut names: Vec<String> = cells.map(|cell| cell.workload.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn cell<'a>(block: &'a Block, workload: &str) -> Option<&'a CellOfBlock> {
    block.cells.iter().find(|cell| cell.workload == workload)
}

/// Builds the series of a metric that every block has. Judging only the blocks with a value would
/// favour slow servers: a percentile is missing where a server is slow, because too few requests
/// lie beyond it.
fn of_metric(
    workload: &str,
    cells: &[Option<&CellOfBlock>],
    arm: Arm,
    (key, margin): (&str, &Margin),
) -> Result<Series, Unjudged> {
    let better = metric::by_key(key).and_then(|metric| metric.better);
    let more_is_better = better == Some(Better::Higher);
    let sign = if more_is_better { -1.0 } else { 1.0 };
    let log_ratio = |cell: &&CellOfBlock| pairing::log_ratio(cell, arm, key, margin.floor);
    let log_ratios = cells.iter().flatten().filter_map(log_ratio);
    let values: Vec<f64> = log_ratios.map(|log_ratio| sign * log_ratio).collect();
    if values.len() < cells.len() {
        let mut slices = cells.iter().flatten().flat_map(|cell| &cell.slices);
        return Err(Unjudged {
            workload: workload.to_owned(),
            key: key.to_owned(),
            reason: format!(
                "{} of {} blocks have no value",
                cells.len() - values.len(),
                cells.len()
            ),
            decides: margin.decides && slices.any(|slice| slice.metrics.contains_key(key)),
        });
    }
    Ok(Series {
        workload: workload.to_owned(),
        quantity: Quantity::Metric { key: key.to_owned(), more_is_better },
        margin: margin.log(more_is_better),
        decides: margin.decides,
        values,
    })
}

/// Builds the series of failed requests and of failed checks, if there are any.
fn failures(workload: &str, cells: &[Option<&CellOfBlock>], arm: Arm) -> Vec<Series> {
    let slices = || cells.iter().flatten().flat_map(|cell| &cell.slices);
    let slices = || slices().filter(|slice| slice.arm == Arm::Base || slice.arm == arm);
    let mut checks: Vec<&String> = slices().flat_map(|slice| &slice.failed_checks).collect();
    checks.sort_unstable();
    checks.dedup();
    let mut series = Vec::new();
    if slices().any(|slice| slice.failed_share > 0.0) {
        series.push(failure(workload, Quantity::FailedRequests, cells, arm, |slice| {
            slice.failed_share
        }));
    }
    for check in checks {
        let failed = |slice: &Slice| f64::from(u8::from(slice.failed_checks.contains(check)));
        series.push(failure(workload, Quantity::FailedCheck(check.clone()), cells, arm, failed));
    }
    series
}

/// Builds one series of failures. A block without the workload has a difference of zero, because it
/// gives no evidence about failures.
///
/// The series decides if only `arm` fails, in at least [`FAILING_BLOCKS`] blocks. With so few
/// failing blocks, no probability is small enough for a regression, so a server that fails after
/// one start in five would pass. Identical servers fail in any arm, so the series does not decide
/// if the base or its copy fails, too.
fn failure(
    workload: &str,
    quantity: Quantity,
    cells: &[Option<&CellOfBlock>],
    arm: Arm,
    of: impl Fn(&Slice) -> f64,
) -> Series {
    let difference = |cell: Option<&CellOfBlock>| pairing::difference(cell?, arm, &of);
    let values = cells.iter().map(|cell| difference(*cell).unwrap_or(0.0)).collect();
    let fails = |cell: &CellOfBlock, is_meant: bool| {
        let mut slices = cell.slices.iter().filter(|slice| (slice.arm == arm) == is_meant);
        slices.any(|slice| of(slice) > 0.0)
    };
    let failing = cells.iter().flatten().filter(|cell| fails(cell, true)).count();
    let decides =
        failing >= FAILING_BLOCKS && !cells.iter().flatten().any(|cell| fails(cell, false));
    Series { workload: workload.to_owned(), quantity, margin: 0.0, decides, values }
}

impl Quantity {
    /// Returns true if the quantity is a share of failures, which is compared as a difference.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Metric { .. })
    }

    /// Returns the name of the quantity in outputs.
    pub fn key(&self) -> &str {
        match self {
            Self::Metric { key, .. } => key,
            Self::FailedRequests => "failed_requests",
            Self::FailedCheck(check) => check,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{self, CPU, P99, THROUGHPUT};

    fn of_all(blocks: &[Block]) -> (Vec<Series>, Vec<Unjudged>) {
        of(blocks, Arm::Candidate, &simulated::margins())
    }

    fn find<'a>(series: &'a [Series], workload: &str, key: &str) -> Option<&'a Series> {
        series.iter().find(|one| one.workload == workload && one.quantity.key() == key)
    }

    #[test]
    fn larger_is_worse_in_either_direction() {
        let blocks = simulated::blocks(8, 1, |slice| {
            simulated::scale(slice, CPU, 1.5);
            simulated::scale(slice, THROUGHPUT, 0.5);
        });
        let (series, _) = of_all(&blocks);
        for key in [CPU, THROUGHPUT] {
            let values = &find(&series, "closed", key).unwrap().values;
            assert!(values.iter().all(|value| *value > 0.3), "{key}: {values:?}");
        }
    }

    #[test]
    fn a_metric_that_a_block_lacks_is_not_judged_by_the_others() {
        let mut blocks = simulated::blocks(8, 1, |_| {});
        for slice in simulated::candidate_slices(&mut blocks[3], "closed") {
            slice.metrics.remove(P99);
            slice.metrics.remove(CPU);
        }
        let (series, unjudged) = of_all(&blocks);
        assert!(find(&series, "closed", CPU).is_none() && find(&series, "open", CPU).is_some());
        let lacks = |key: &str| unjudged.iter().find(|one| one.key == key).unwrap();
        assert_eq!((lacks(CPU).workload.as_str(), lacks(CPU).decides), ("closed", true));
        assert_eq!(
            (lacks(P99).reason.as_str(), lacks(P99).decides),
            ("1 of 8 blocks have no value", false)
        );
    }

    #[test]
    fn a_deciding_metric_that_nothing_measured_leaves_nothing_open() {
        let mut blocks = simulated::blocks(8, 1, |_| {});
        let slices =
            blocks.iter_mut().flat_map(|block| &mut block.cells).flat_map(|cell| &mut cell.slices);
        slices.for_each(|slice| slice.metrics.retain(|key, _| key != CPU));
        let (_, unjudged) = of_all(&blocks);
        assert!(unjudged.iter().any(|one| one.key == CPU));
        assert!(unjudged.iter().all(|one| !one.decides));
    }

    /// Signs belong to blocks: a shorter series would get the signs of other blocks.
    #[test]
    fn a_workload_that_a_block_lacks_has_no_metrics_and_keeps_its_failures_in_place() {
        let mut blocks = simulated::blocks(8, 1, |_| {});
        blocks[0].cells.retain(|cell| cell.workload != "open");
        simulated::candidate_slices(&mut blocks[5], "open")
            .for_each(|slice| slice.failed_share = 0.5);
        let (series, unjudged) = of_all(&blocks);
        assert!(find(&series, "open", CPU).is_none());
        assert!(unjudged.iter().any(|one| one.workload == "open" && one.key == CPU && one.decides));
        let failed = &find(&series, "open", "failed_requests").unwrap().values;
        assert_eq!(failed, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn failures_decide_if_only_the_candidate_has_them_in_several_blocks() {
        let decides = |candidate: &[usize], base: &[usize], null: &[usize]| {
            let mut blocks = simulated::blocks_with_null(20, 1, |_, _| {});
            for (arm, failing) in
                [(Arm::Candidate, candidate), (Arm::Base, base), (Arm::Null, null)]
            {
                for place in failing {
                    let cell = blocks[*place].cells.iter_mut().find(|cell| cell.workload == "open");
                    let mut slices = cell.unwrap().slices.iter_mut();
                    slices.find(|slice| slice.arm == arm).unwrap().failed_share = 0.01;
                }
            }
            find(&of_all(&blocks).0, "open", "failed_requests").unwrap().decides
        };
        assert!(!decides(&[4], &[], &[]));
        assert!(decides(&[4, 9], &[], &[]));
        assert!(!decides(&[4, 9], &[2], &[]) && !decides(&[4, 9], &[], &[2]));
        assert!(!decides(&[], &[4, 9], &[]));
    }

    #[test]
    fn failures_come_first_and_are_those_of_the_arm_and_its_base() {
        let mut blocks = simulated::blocks(8, 1, |_| {});
        let starved = |slice: &mut Slice| slice.failed_checks.push("starvation".to_owned());
        simulated::candidate_slices(&mut blocks[2], "open").for_each(starved);
        let (series, _) = of_all(&blocks);
        assert_eq!(series[0].quantity, Quantity::FailedCheck("starvation".to_owned()));
        assert!(series[1..].iter().all(|one| !one.quantity.is_failure()));
        assert!(of(&blocks, Arm::Null, &simulated::margins()).0.is_empty());
    }
}
