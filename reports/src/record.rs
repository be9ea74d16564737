//! The record of a run: the wire format of `environment.json` and of the lines of `record.jsonl`.
//!
//! The runner writes them as it goes, the pages are rendered from them alone, so `c10k report` can render any run again.

use std::collections::BTreeMap;
use std::fmt;

use c10k_loadgen::check::CheckOutcome;
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
    /// Revision that the `c10k` binary was built from, which is also the binary of every built-in subject; `-dirty` stands
    /// behind it where the source was changed, and `unknown` where it was built outside a checkout.
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
    /// The axes that the parameters of cells refer to, in the order in which they are shown.
    #[serde(default)]
    pub axes: Vec<Axis>,
    /// The servers under test, in the order of the suite.
    pub subjects: Vec<Subject>,
    /// The workloads, in the order of the suite.
    pub workloads: Vec<WorkloadEntry>,
    /// What the suite asks, each with the workloads that answer it; together they name every workload.
    #[serde(default)]
    pub questions: Vec<Question>,
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

/// Something that varies between cells: its key in [`Parameters`], and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// The key, such as `connections`.
    pub key: String,
    /// What it is called in a chart, such as `connections at once`.
    pub title: String,
    /// Unit of its values, such as `requests/s`; empty where they have none.
    #[serde(default)]
    pub unit: String,
    /// How its values are laid out.
    pub scale: Scale,
}

/// How the values of an axis are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Numbers, evenly.
    Linear,
    /// Numbers, by their logarithm; zero has a place of its own at the low end.
    Log,
    /// Names without an order.
    Category,
}

/// Parameters of a cell: axis key → value.
pub type Parameters = BTreeMap<String, Parameter>;

/// The value of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    /// A count.
    Count(u64),
    /// Another number.
    Number(f64),
    /// A name.
    Text(String),
}

impl Parameter {
    /// The value as a number; nothing for a name.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Count(count) => Some(*count as f64),
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A server under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Name as in the suite.
    pub name: String,
    /// The command that served, one line. Parts that differ from cell to cell stand in braces, such as `{workers}`.
    pub command: String,
    /// Name and version of a server that is not built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
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
    /// Its parameters. Records of before there were axes have none; the reader fills in what it knows.
    #[serde(default)]
    pub parameters: Parameters,
    /// Connections at once.
    pub connections: usize,
    /// Requests per connection: `short`, `persistent` or a number.
    pub lifetime: String,
}

/// A question of the suite: a table of workloads that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question, such as `What do idle connections cost?`.
    pub title: String,
    /// Key of the axis that charts draw along; without it, they choose the numeric axis with most values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub along: Option<String>,
    /// Names of its workloads, in the order of the suite.
    pub workloads: Vec<String>,
}

/// Subject × workload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// Name of the subject.
    pub subject: String,
    /// Name of the workload.
    pub workload: String,
}

/// One line of `record.jsonl`: one measurement of one cell in one round. It is understood without any other line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// What was measured.
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
    /// What came of it.
    pub outcome: Outcome,
    /// What the subject used in the measured part, as lines of before there were readings have it; new lines have
    /// [`Record::readings`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerUsage>,
    /// What the probes read: key → value over the measured part, or at its end. A key ends in its unit.
    #[serde(default)]
    pub readings: BTreeMap<String, f64>,
    /// Why a probe read nothing: name of the probe → reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, String>,
    /// What follows from the outcome and the readings: key of the metric → value.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// What the validity checks say of it.
    #[serde(default)]
    pub checks: Vec<CheckOutcome>,
    /// Whether the numbers can be believed: it ran to its end and no check failed.
    #[serde(default = "unless_told")]
    pub valid: bool,
    /// File name of the histograms in the run's folder (`HdrHistogram` V2 interval log, values in nanoseconds, the
    /// distributions told apart by the tags `latency`, `service`, `connect` and `first_byte`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histograms: Option<String>,
}

/// Nothing was known against a measurement of before there were checks.
fn unless_told() -> bool {
    true
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

/// What the subject's processes, children included, used in the measured part, in lines of before there were readings.
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
