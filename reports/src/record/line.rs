//! A line of `record.jsonl`: one measurement of one cell in one round.

use std::collections::BTreeMap;

use c10k_loadgen::check::{CheckOutcome, Effect};
use c10k_loadgen::summary::Summary;
use serde::{Deserialize, Serialize};

use super::environment::Cell;
use super::parameters::Parameters;
use super::search::Search;

/// Option of `c10k serve` that sets the number of workers, loops or threads of a runtime.
const WORKERS: &str = "--workers";

/// Option of `c10k serve` that sets the number of threads that run handlers.
const HANDLER_THREADS: &str = "--handler-threads";

/// One line of `record.jsonl`: one measurement of one cell in one round. A line can be understood
/// without any other line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the format: [`super::VERSION`].
    pub version: u32,
    /// The cell that was measured.
    pub cell: Cell,
    /// Parameters of the cell.
    #[serde(default)]
    pub parameters: Parameters,
    /// The round, counted from 1.
    pub round: u32,
    /// Time at which the measurement began (RFC 3339, UTC).
    pub started_utc: String,
    /// Command that started the server for this measurement, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Result of the measurement.
    pub outcome: Outcome,
    /// Resources that the subject used, in lines written before readings existed; newer lines have
    /// [`Record::readings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerUsage>,
    /// Readings of the probes: key → value over the measured part, or at its end. A key ends in its
    /// unit.
    #[serde(default)]
    pub readings: BTreeMap<String, f64>,
    /// Account that the server's CPU time comes from; `None` if no CPU time was read, and in lines
    /// written when process clocks were the only account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_account: Option<CpuAccount>,
    /// Reasons why probes read nothing: name of the probe → reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, String>,
    /// Metrics, which follow from the outcome and the readings: key → value.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// Outcomes of the validity checks.
    #[serde(default)]
    pub checks: Vec<CheckOutcome>,
    /// True if the numbers can be believed: the measurement ran to its end and no check failed.
    #[serde(default = "unless_told")]
    pub valid: bool,
    /// Reason why something other than the server determined the result; `None` if no such
    /// disturbance is known, and in lines that are older than this check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed: Option<String>,
    /// True if the measurement was disturbed and the cell is measured again in the same round; a
    /// later line then replaces this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
    /// Search that led to the result, if the cell has an objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// File name of the histograms in the run's folder (`HdrHistogram` V2 interval log, values in
    /// nanoseconds; each distribution has one of the tags that `loadgen/FORMAT.md` lists).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histograms: Option<String>,
}

impl Record {
    /// Creates the record of a measurement of `cell` that has no result yet.
    pub fn begun(cell: Cell, round: u32, started_utc: String) -> Self {
        Self {
            version: super::VERSION,
            cell,
            parameters: Parameters::new(),
            round,
            started_utc,
            command: String::new(),
            outcome: Outcome::Failed(String::new()),
            server: None,
            readings: BTreeMap::new(),
            cpu_account: None,
            missing: BTreeMap::new(),
            metrics: BTreeMap::new(),
            checks: Vec::new(),
            valid: false,
            disturbed: None,
            superseded: false,
            search: None,
            histograms: None,
        }
    }

    /// Returns the number of workers, if the command sets it.
    pub fn workers(&self) -> Option<u64> {
        self.number_of(WORKERS)
    }

    /// Returns the number of threads that run handlers, if the command sets it.
    pub fn handler_threads(&self) -> Option<u64> {
        self.number_of(HANDLER_THREADS)
    }

    fn number_of(&self, option: &str) -> Option<u64> {
        let mut parts = self.command.split_whitespace();
        let part = parts.find(|part| part.starts_with(option))?;
        match part.strip_prefix(option)?.strip_prefix('=') {
            Some(count) => count.parse().ok(),
            None => parts.next()?.parse().ok(),
        }
    }

    /// Returns true if a check reports `effect` for this measurement.
    pub fn has_effect(&self, effect: Effect) -> bool {
        self.checks.iter().any(|check| check.effect == Some(effect))
    }
}

/// Returns the default of [`Record::valid`]: nothing was known against a measurement that was
/// written before checks existed.
fn unless_told() -> bool {
    true
}

/// Result of one measurement. A failed measurement has a line with its error; it is never left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The measurement ran to its end. Requests may have failed; the summary counts them.
    Measured(Box<Summary>),
    /// The measurement did not run to its end: the error, in one line.
    Failed(String),
}

/// An account of the CPU time that a server used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CpuAccount {
    /// Account of the server's own cgroup (first version).
    #[serde(rename = "cgroup v1")]
    CgroupV1,
    /// Account of the server's own cgroup (second version).
    #[serde(rename = "cgroup v2")]
    CgroupV2,
    /// Sum of the clocks of the server's processes, which loses time when threads end.
    #[serde(rename = "process clocks")]
    ProcessClocks,
}

impl CpuAccount {
    /// Returns the name of the account, as in a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::CgroupV1 => "cgroup v1",
            Self::CgroupV2 => "cgroup v2",
            Self::ProcessClocks => "process clocks",
        }
    }
}

/// Resources that the subject's processes, children included, used in the measured part, in lines
/// written before readings existed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerUsage {
    /// CPU time in user mode, in seconds.
    pub user_s: f64,
    /// CPU time in the kernel, in seconds.
    pub system_s: f64,
    /// Resident memory of all its processes at the end of the measured part, shared pages divided
    /// among them (PSS), in bytes.
    pub memory_bytes: u64,
    /// Processes and threads at the end of the measured part.
    pub tasks: u64,
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[test]
    fn the_workers_of_a_pool_are_read_off_the_command() {
        let workers = |command: &str| {
            let mut record = fixture::measured("prefork", "short-64", 1);
            command.clone_into(&mut record.command);
            record.workers()
        };
        assert_eq!(
            workers("taskset --cpu-list 0 c10k serve prefork --workers 64 --backlog 9"),
            Some(64)
        );
        assert_eq!(workers("c10k serve prefork --workers=512"), Some(512));
        assert_eq!(workers("c10k serve epoll --addr 127.0.0.1:0"), None);
    }

    #[test]
    fn handler_threads_are_read_off_the_command_beside_workers() {
        let sizes = |command: &str| {
            let mut record = fixture::measured("tokio-blocking", "short-64", 1);
            command.clone_into(&mut record.command);
            (record.workers(), record.handler_threads())
        };
        let both = "c10k serve tokio-blocking --workers 2 --handler-threads 64";
        assert_eq!(sizes(both), (Some(2), Some(64)));
        assert_eq!(sizes("c10k serve epoll-workers --handler-threads=8"), (None, Some(8)));
    }
}
