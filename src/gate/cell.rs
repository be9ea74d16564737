//! A cell of a block as it was measured: its slices with their distributions, which become the
//! slices that a block keeps.

use std::collections::{BTreeMap, BTreeSet};

use c10k_ci::block::{Arm, CellOfBlock, Slice};
use c10k_ci::margin::Margins;
use c10k_loadgen::Recorder;
use c10k_reports::metric::OF_ALL_SLICES;

use super::slice::Measured;
use super::tail::{self, Latencies, Percentile};

/// Name of the check that a server fails if it uses its processor while another server is measured.
const IDLE_CPU: &str = "idle-cpu";

/// Measurements of one workload in a block.
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

    /// Returns the distributions of each server, merged over all of its slices.
    pub fn seen(&self) -> BTreeMap<Arm, Recorder> {
        let mut seen: BTreeMap<Arm, Recorder> = BTreeMap::new();
        for (_, arm, slice) in &self.slices {
            seen.entry(*arm).or_default().times.add(slice.times());
        }
        seen
    }

    /// Returns the cell in the form that a block keeps. The percentiles `grouped` are computed from
    /// several slices together.
    pub fn into_cell<'a>(
        self,
        grouped: impl Iterator<Item = &'a Percentile>,
        margins: &Margins,
    ) -> CellOfBlock {
        let throughputs = throughputs(&self.slices);
        let latencies: Vec<Latencies> =
            self.slices.iter().map(|(.., slice)| slice.latencies()).collect();
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

/// Returns the mean throughput of all slices of each server. Slices are equally long, and a slice
/// that completed nothing counts as 0.
fn throughputs(slices: &[(u32, Arm, Measured)]) -> BTreeMap<Arm, f64> {
    let mut all: BTreeMap<Arm, Vec<f64>> = BTreeMap::new();
    for (_, arm, slice) in slices {
        all.entry(*arm).or_default().push(slice.throughput());
    }
    all.into_iter().map(|(arm, of)| (arm, of.iter().sum::<f64>() / of.len() as f64)).collect()
}

/// Rounds a value to six digits. The error is far below the noise of everything that is measured,
/// and the file becomes half as large.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().expect("a formatted number is a number")
}
