//! A line of `record.jsonl`: one measurement of one cell in one round.

use std::collections::BTreeMap;

use c10k_loadgen::check::{CheckOutcome, Effect};
use c10k_loadgen::summary::Summary;
use serde::{Deserialize, Serialize};

use super::environment::Cell;
use super::parameters::Parameters;
use super::search::Search;

/// The option of `c10k serve` that tells the size of a pool.
const WORKERS: &str = "--workers";

/// One line of `record.jsonl`: one measurement of one cell in one round. It is understood without
/// any other line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`super::VERSION`].
    pub version: u32,
    /// The cell that was measured.
    pub cell: Cell,
    /// Parameters of the cell.
    #[serde(default)]
    pub parameters: Parameters,
    /// The round, counted from 1.
    pub round: u32,
    /// When it began (RFC 3339, UTC).
    pub started_utc: String,
    /// The command that served in this measurement, one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Its result.
    pub outcome: Outcome,
    /// Resources that the subject used, in lines of before there were readings; new lines have
    /// [`Record::readings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerUsage>,
    /// Readings of the probes: key → value over the measured part, or at its end. A key ends in its
    /// unit.
    #[serde(default)]
    pub readings: BTreeMap<String, f64>,
    /// The account that CPU time of the server is of; nothing where none was read, and in lines of
    /// before there was a choice, which are of process clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_account: Option<CpuAccount>,
    /// Why a probe read nothing: name of the probe → reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, String>,
    /// Metrics, which follow from the outcome and the readings: key → value.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// Outcomes of the validity checks.
    #[serde(default)]
    pub checks: Vec<CheckOutcome>,
    /// Whether the numbers can be believed: it ran to its end and no check failed.
    #[serde(default = "unless_told")]
    pub valid: bool,
    /// Why something else than the server decided it; nothing where that is not known to be so, and
    /// in lines of before it was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed: Option<String>,
    /// Whether the cell was measured again in the same round, for that: a later line stands for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
    /// The search that it is the result of, where the cell has an objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// File name of the histograms in the run's folder (`HdrHistogram` V2 interval log, values in
    /// nanoseconds, the distributions told apart by the tags that `loadgen/FORMAT.md` lists).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histograms: Option<String>,
}

impl Record {
    /// A measurement of `cell` that has no result yet.
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

    /// Workers of a pool, where the command says how many.
    pub fn workers(&self) -> Option<u64> {
        let mut parts = self.command.split_whitespace();
        let part = parts.find(|part| part.starts_with(WORKERS))?;
        match part.strip_prefix(WORKERS)?.strip_prefix('=') {
            Some(count) => count.parse().ok(),
            None => parts.next()?.parse().ok(),
        }
    }

    /// Whether a check says that its numbers have this effect.
    pub fn has_effect(&self, effect: Effect) -> bool {
        self.checks.iter().any(|check| check.effect == Some(effect))
    }
}

/// Nothing was known against a measurement of before there were checks.
fn unless_told() -> bool {
    true
}

/// Result of one measurement. A failed one is a line with its error, never a gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran to its end. Requests may have failed; the summary counts them.
    Measured(Box<Summary>),
    /// It did not: the error, in a line.
    Failed(String),
}

/// An account of the CPU time that a server used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CpuAccount {
    /// That of a cgroup (first version) of the server's own.
    #[serde(rename = "cgroup v1")]
    CgroupV1,
    /// That of a cgroup (second version) of the server's own.
    #[serde(rename = "cgroup v2")]
    CgroupV2,
    /// The sum of the clocks of its processes, which loses time where threads end.
    #[serde(rename = "process clocks")]
    ProcessClocks,
}

impl CpuAccount {
    /// Its name, as in a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::CgroupV1 => "cgroup v1",
            Self::CgroupV2 => "cgroup v2",
            Self::ProcessClocks => "process clocks",
        }
    }
}

/// Resources that the subject's processes, children included, used in the measured part, in lines
/// of before there were readings.
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
        assert_eq!(workers("taskset --cpu-list 0 c10k serve prefork --workers 64 --backlog 9"), Some(64));
        assert_eq!(workers("c10k serve prefork --workers=512"), Some(512));
        assert_eq!(workers("c10k serve epoll --addr 127.0.0.1:0"), None);
    }
}
