//! Latencies of a workload by server, from the histograms beside the blocks.

use std::path::Path;

use c10k_loadgen::measurement::Times;
use c10k_loadgen::percentile::last_known;
use c10k_reports::statistics::merge;

use crate::block::{Arm, Slice};
use crate::gate::Gate;
use crate::histograms::{self, ByBlock};

/// Latencies of a workload.
pub struct Latencies {
    /// Latencies of each server, the base first.
    pub arms: Vec<OfArm>,
}

/// Latencies of one server.
pub struct OfArm {
    /// The server.
    pub arm: Arm,
    /// Latencies by block.
    pub by_block: ByBlock,
    /// Latencies of all blocks together.
    pub merged: Times,
    /// Quantile (0 to 1) above which failed requests may lie; `None` if no request failed.
    pub known_to: Option<f64>,
}

impl Latencies {
    /// Reads the latencies of a workload from the gate's folder, or returns the reason why there
    /// are none.
    pub fn read(gate: &Gate, folder: &Path, workload: &str) -> Result<Self, String> {
        let arms = arms(gate).iter().map(|&arm| {
            let by_block = histograms::read(folder, &gate.plan, workload, arm);
            let by_block = by_block.map_err(|error| error.to_string())?;
            let mut merged = merge::empty();
            for times in by_block.values() {
                merge::add(&mut merged, times);
            }
            Ok(OfArm { arm, by_block, merged, known_to: answered(gate, workload, arm) })
        });
        Ok(Self { arms: arms.collect::<Result<_, String>>()? })
    }
}

impl OfArm {
    /// Returns the last quantile (0 to 1) that can be shown.
    pub fn last_quantile(&self) -> f64 {
        last_known(self.merged.len(), self.known_to)
    }
}

/// Returns the servers of a gate.
pub fn arms(gate: &Gate) -> &'static [Arm] {
    if gate.plan.null {
        &[Arm::Base, Arm::Candidate, Arm::Null]
    } else {
        &[Arm::Base, Arm::Candidate]
    }
}

/// Returns the slices of `arm` under a workload.
pub fn slices<'a>(gate: &'a Gate, workload: &'a str, arm: Arm) -> impl Iterator<Item = &'a Slice> {
    let cells = gate.blocks.iter().flat_map(|block| &block.cells);
    let cells = cells.filter(move |cell| cell.workload == workload);
    cells.flat_map(|cell| &cell.slices).filter(move |slice| slice.arm == arm)
}

/// Returns the mean of a number over the slices of `arm`.
pub fn mean(gate: &Gate, workload: &str, arm: Arm, of: impl Fn(&Slice) -> f64) -> f64 {
    let values: Vec<f64> = slices(gate, workload, arm).map(of).collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Returns the share of requests with a response; `None` if no request failed.
fn answered(gate: &Gate, workload: &str, arm: Arm) -> Option<f64> {
    let failed = mean(gate, workload, arm, |slice| slice.failed_share);
    (failed > 0.0).then_some(1.0 - failed)
}
