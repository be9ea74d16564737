//! What the server of `c10k load --server-pid` spent: the readings of the probes, and the metrics that follow.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use c10k_loadgen::Summary;
use c10k_reports::metric;
use c10k_reports::record::{Cell, CpuAccount, Outcome, Record};
use procfs::process::Process;
use serde::Serialize;

use crate::probe::Readings;

/// The metrics that are about the server, in the order in which they are told.
const METRICS: &[&str] = &[
    "server_cpu_us_per_request",
    "server_cpu_user_us_per_request",
    "server_cpu_system_us_per_request",
    "context_switches_per_request",
    "page_faults_per_request",
    "memory_pss_bytes",
    "memory_peak_rss_bytes",
    "tasks",
];

/// What the server spent.
#[derive(Debug, Serialize)]
pub(super) struct Server {
    metrics: BTreeMap<String, f64>,
    readings: BTreeMap<String, f64>,
    /// The account that CPU time is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_account: Option<CpuAccount>,
    /// Why a probe read nothing: name of the probe → reason.
    missing: BTreeMap<String, String>,
}

/// Refuses a process that there is not, before anything is measured.
pub(super) fn check(pid: u32) -> Result<()> {
    let found = Process::new(pid.cast_signed());
    found.with_context(|| format!("--server-pid {pid}: there is no such process on this machine"))?;
    Ok(())
}

impl Server {
    /// Computes the metrics as those of a suite's measurement are.
    pub(super) fn of(summary: &Summary, readings: Readings) -> Self {
        let cell = Cell { subject: String::new(), workload: String::new() };
        let mut record = Record::begun(cell, 1, String::new());
        record.outcome = Outcome::Measured(Box::new(summary.clone()));
        record.readings = readings.values;
        let mut metrics = metric::compute(&record);
        metrics.retain(|key, _| METRICS.contains(&key.as_str()));
        Self {
            metrics,
            readings: record.readings,
            cpu_account: readings.cpu_account,
            missing: readings.missing,
        }
    }

    /// A line for each metric, one for the account of CPU time, then one for each probe that read
    /// nothing.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("\n  server\n");
        for metric in METRICS.iter().filter_map(|key| metric::by_key(key)) {
            if let Some(value) = self.metrics.get(metric.key) {
                let title = metric.title;
                text += &format!("    {title:<24} {} {}\n", metric.format.text(*value), metric.unit_beside());
            }
        }
        if self.cpu_account == Some(CpuAccount::ProcessClocks) {
            text += "    CPU time is by process clocks, which lose some µs with every thread that ends\n";
        }
        for (probe, reason) in &self.missing {
            text += &format!("    {probe}: not known: {reason}\n");
        }
        text
    }
}
