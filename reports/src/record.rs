//! The record of a run: the wire format of `environment.json` and of the lines of `record.jsonl`.
//!
//! The runner writes them as it goes, the pages are rendered from them alone, so `c10k report` can render any run again.

use c10k_loadgen::summary::Summary;
use serde::{Deserialize, Serialize};

/// The version of both files that this crate writes and reads.
pub const VERSION: u32 = 1;

/// `environment.json`: what was to be measured, where, and how. Written before the first measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// [`VERSION`].
    pub version: u32,
    /// Name of the suite.
    pub suite: String,
    /// What the suite is for, in a sentence.
    pub purpose: String,
    /// When the run began (RFC 3339, UTC).
    pub started_utc: String,
    /// The command line that began it.
    pub command: String,
    /// Version of c10k.
    pub c10k_version: String,
    /// Revision of the source, with `-dirty` behind it where it was changed; `unknown` outside a checkout.
    pub revision: String,
    /// Seed of the order of measurements.
    pub seed: u64,
    /// Rounds that were planned.
    pub rounds: u32,
    /// The machine.
    pub machine: Machine,
    /// Processors that the subjects were pinned to; empty where nothing was pinned.
    pub server_cpus: Vec<usize>,
    /// Processors that the generator was pinned to; empty where nothing was pinned.
    pub generator_cpus: Vec<usize>,
    /// The servers under test, in the order of the suite.
    pub subjects: Vec<Subject>,
    /// The workloads, in the order of the suite.
    pub workloads: Vec<WorkloadEntry>,
    /// The cells that were planned.
    pub cells: Vec<Cell>,
    /// The error of the instrument, as `c10k calibrate` last found it on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// What `c10k calibrate` found: the generator's own error, against servers whose truth is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// [`VERSION`].
    pub version: u32,
    /// When it was found (RFC 3339, UTC).
    pub measured_utc: String,
    /// Requests per second that one worker sends to a server that does nothing but answer, in a closed loop.
    pub highest_rps_per_worker: f64,
    /// CPU time of the generator per request there, in microseconds.
    pub cpu_us_per_request: f64,
    /// How late it sends in an open loop of 10,000 requests per second, in microseconds: median and 99th percentile.
    pub send_lag_us: (f64, f64),
    /// Percentiles of answers that were held back for known, random times.
    pub delays: Vec<Comparison>,
    /// Percentiles of the latency of a server that stopped for a known time.
    pub stall: Vec<Comparison>,
}

/// A percentile as it was and as it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Between 0 and 100; 100 is the maximum.
    pub percentile: f64,
    /// What it was, in microseconds.
    pub true_us: f64,
    /// What the generator said, in microseconds.
    pub measured_us: f64,
}

/// The machine that a run was measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Model name of the CPU.
    pub cpu: String,
    /// Logical processors that the run could use.
    pub cpus: usize,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Kernel name, release and architecture.
    pub kernel: String,
    /// Limits that bear on the result, by name, such as `open files (soft)`, in display order.
    pub limits: Vec<(String, String)>,
}

/// A server under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Name as in the suite.
    pub name: String,
    /// The command that served, one line.
    pub command: String,
    /// Declared traits by name (`waits`, `runs`, `accepts`), in display order.
    pub traits: Vec<(String, String)>,
}

/// A workload of the suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadEntry {
    /// Name as in the suite, such as `persistent-64`.
    pub name: String,
    /// What it sends, in a sentence a reader understands.
    pub description: String,
    /// Connections at once.
    pub connections: usize,
    /// Requests per connection: `short`, `persistent` or a number.
    pub lifetime: String,
}

/// Subject × workload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// Name of the subject.
    pub subject: String,
    /// Name of the workload.
    pub workload: String,
}

/// One line of `record.jsonl`: one measurement of one cell in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// What was measured.
    pub cell: Cell,
    /// The round, counted from 1.
    pub round: u32,
    /// When it began (RFC 3339, UTC).
    pub started_utc: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What the subject used in the measured part; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerUsage>,
    /// File name of the histograms in the run's folder (`HdrHistogram` V2 interval log, values in nanoseconds, the
    /// distributions told apart by the tags `latency`, `service`, `connect` and `first_byte`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histograms: Option<String>,
}

/// What came of one measurement. A failed one is a line with its error, never a gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran to its end. Requests may have failed; the summary counts them.
    Measured(Box<Summary>),
    /// It did not: the error, in a line.
    Failed(String),
}

/// What the subject's processes, children included, used in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerUsage {
    /// CPU time in user mode, in seconds.
    pub user_s: f64,
    /// CPU time in the kernel, in seconds.
    pub system_s: f64,
    /// Resident memory of all its processes at the end of the measured part, shared pages divided among them (PSS), in
    /// bytes.
    pub memory_bytes: u64,
    /// Processes and threads at the end of the measured part.
    pub tasks: u64,
}
