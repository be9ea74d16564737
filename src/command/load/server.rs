//! Resources that the server of `c10k load --server-pid` used: the readings of the probes, and the
//! metrics that follow from them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use c10k_loadgen::Summary;
use c10k_reports::metric::{self, METRICS};
use c10k_reports::record::{Cell, CpuAccount, Outcome, Record};
use procfs::process::Process;
use serde::Serialize;

use crate::probe::Readings;

/// Resources that the server used.
#[derive(Debug, Serialize)]
pub(super) struct Server {
    metrics: BTreeMap<String, f64>,
    readings: BTreeMap<String, f64>,
    /// Account that the CPU time is taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_account: Option<CpuAccount>,
    /// Reasons why probes read nothing, by name of the probe.
    missing: BTreeMap<String, String>,
}

/// Checks, before anything is measured, that the process exists.
pub(super) fn check(pid: u32) -> Result<()> {
    Process::myself().context("--server-pid reads /proc, which is not here: mount it")?;
    let found = Process::new(pid.cast_signed());
    found
        .with_context(|| format!("--server-pid {pid}: there is no such process on this machine"))?;
    Ok(())
}

impl Server {
    /// Computes the metrics in the same way as for a measurement of a suite.
    pub(super) fn of(summary: &Summary, readings: Readings) -> Self {
        let cell = Cell { subject: String::new(), workload: String::new() };
        let mut record = Record::begun(cell, 1, String::new());
        record.outcome = Outcome::Measured(Box::new(summary.clone()));
        let of_the_generator = metric::compute(&record);
        record.readings = readings.values;
        let mut metrics = metric::compute(&record);
        // Metrics that need the readings describe the server and the machine, not the generator.
        metrics.retain(|key, _| !of_the_generator.contains_key(key));
        Self {
            metrics,
            readings: record.readings,
            cpu_account: readings.cpu_account,
            missing: readings.missing,
        }
    }

    /// Renders a line for each metric, one about the account of CPU time if it is of process
    /// clocks, then one for each probe that read nothing.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("\n  server\n");
        for metric in METRICS {
            if let Some(value) = self.metrics.get(metric.key) {
                let title = metric.title;
                text += &format!(
                    "    {title:<24} {} {}\n",
                    metric.format.text(*value),
                    metric.unit_beside()
                );
            }
        }
        if self.cpu_account == Some(CpuAccount::ProcessClocks) {
            text += "    CPU time is by process clocks, which lose some µs with every thread that ends\n";
        }
        for (probe, reason) in &self.missing {
            text += &format!("    {probe}: not measured: {reason}\n");
        }
        text
    }
}
