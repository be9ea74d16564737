//! Input of the sections: the gate, and the files beside it in its folder.

use std::path::{Path, PathBuf};

use c10k_reports::record::RUNS_DIR;

use super::latencies::Latencies;
use super::words;
use crate::block::CellOfBlock;
use crate::gate::Gate;
use crate::series::Quantity;
use crate::verdict::Judged;

/// Path of the list of runs and gates, relative to the folder of a gate.
const INDEX: &str = "../index.html";

/// Name of the folder of the newest gate, in the folder of all reports.
const GATE_DIR: &str = "gate";

/// Returns the folder of all reports, whose list links to the gate in `folder`; `None` if the gate
/// lies elsewhere.
pub fn reports_dir(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let reports = folder.parent().filter(|reports| reports.join(RUNS_DIR).is_dir())?;
    (folder.file_name()? == GATE_DIR).then(|| reports.to_owned())
}

/// Input of the sections.
pub struct Page<'a> {
    /// The gate.
    pub gate: &'a Gate,
    /// Latencies of each workload in the order of the plan, or the reason why there are none.
    pub latencies: Vec<Result<Latencies, String>>,
    /// Path of the list of all runs, if there is one.
    pub index: Option<&'static str>,
}

impl<'a> Page<'a> {
    /// Creates the input for the gate in `folder`.
    pub fn of(gate: &'a Gate, folder: &Path) -> Self {
        let names = gate.plan.workloads.iter().map(|workload| &workload.name);
        Self {
            gate,
            latencies: names.map(|name| Latencies::read(gate, folder, name)).collect(),
            index: reports_dir(folder).map(|_| INDEX),
        }
    }

    /// Returns the judged metrics of a workload, deciding metrics first.
    pub fn metrics(&self, workload: &'a str) -> Vec<&'a Judged> {
        let is_metric = |one: &&Judged| matches!(one.series.quantity, Quantity::Metric { .. });
        let mut metrics: Vec<&Judged> =
            self.gate.judgement.judged_of(workload).filter(is_metric).collect();
        metrics.sort_by_key(|one| (!one.series.decides, words::place(one.series.quantity.key())));
        metrics
    }

    /// Returns the cell of a workload in each block, with the number of the block.
    pub fn cells(&self, workload: &str) -> impl Iterator<Item = (u32, &'a CellOfBlock)> {
        self.gate.blocks.iter().filter_map(move |block| {
            let cell = block.cells.iter().find(|cell| cell.workload == workload)?;
            Some((block.number, cell))
        })
    }
}
