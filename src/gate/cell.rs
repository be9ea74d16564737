//! A cell of a block as it was measured: its slices with their distributions, which become the slices
//! that a block keeps.

use std::collections::{BTreeMap, BTreeSet};

use c10k_ci::block::{Arm, CellOfBlock, Slice};
use c10k_ci::margin::Margins;
use c10k_loadgen::Recorder;
use c10k_reports::metric::OF_ALL_SLICES;

use super::slice::Measured;
use super::tail::{self, Latencies, Percentile};

/// Name of the check that a server fails which uses its processor while the other one is measured.
const IDLE_CPU: &str = "idle-cpu";

/// What was measured of one workload in a block.
#[derive(Debug)]
pub struct MeasuredCell {
    pub workload: String,
    slices: Vec<(u32, Arm, Measured)>,
    /// Pairs in which a server was busy while another one was measured.
    pub busy: BTreeSet<(u32, Arm)>,
}

impl MeasuredCell {
    pub fn new(workload: &str) -> Self {
        Self { workload: workload.to_owned(), slices: Vec::new(), busy: BTreeSet::new() }
    }

    pub fn add(&mut self, pair: u32, arm: Arm, slice: Measured) {
        self.slices.push((pair, arm, slice));
    }

    /// What the slices of each server saw together.
    pub fn seen(&self) -> BTreeMap<Arm, Recorder> {
        let mut seen: BTreeMap<Arm, Recorder> = BTreeMap::new();
        for (_, arm, slice) in &self.slices {
            seen.entry(*arm).or_default().times.add(slice.times());
        }
        seen
    }

    /// The cell as a block keeps it. The percentiles `grouped` are read of several slices together.
    pub fn into_cell<'a>(
        self,
        grouped: impl Iterator<Item = &'a Percentile>,
        margins: &Margins,
    ) -> CellOfBlock {
        let throughputs = throughputs(&self.slices);
        let latencies: Vec<Latencies> = self.slices.iter().map(|(.., slice)| slice.latencies()).collect();
        let slices = self.slices.into_iter().map(|(pair, arm, slice)| slice.of(pair, arm, margins));
        let mut slices: Vec<Slice> = slices.collect();
        let has_margin = |key: &str| margins.iter().any(|(known, _)| known == key);
        for percentile in grouped.filter(|percentile| has_margin(percentile.key)) {
            tail::replace(percentile, &mut slices, &latencies);
        }
        for slice in &mut slices {
            if has_margin(OF_ALL_SLICES.key) {
                slice.metrics.insert(OF_ALL_SLICES.key.to_owned(), throughputs[&slice.arm]);
            }
            slice.metrics.values_mut().for_each(|value| *value = rounded(*value));
            if self.busy.contains(&(slice.pair, slice.arm)) {
                slice.failed_checks.push(IDLE_CPU.to_owned());
            }
        }
        CellOfBlock { workload: self.workload, slices }
    }
}

/// Mean throughput of all slices of each server. Slices are equally long, and one that completed nothing
/// counts as nothing.
fn throughputs(slices: &[(u32, Arm, Measured)]) -> BTreeMap<Arm, f64> {
    let mut all: BTreeMap<Arm, Vec<f64>> = BTreeMap::new();
    for (_, arm, slice) in slices {
        all.entry(*arm).or_default().push(slice.throughput());
    }
    all.into_iter().map(|(arm, of)| (arm, of.iter().sum::<f64>() / of.len() as f64)).collect()
}

/// The value to six digits, which is far below the noise of everything that is measured, and saves half
/// of the file.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().expect("a formatted number is a number")
}
