//! `environment.json`: the plan of a run, the machine and the method.

use serde::{Deserialize, Serialize};

use super::claim::Claim;
use super::parameters::{Axis, Parameters};

/// `environment.json`: the plan, the machine and the method. Written before the first measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of the format: [`super::VERSION`].
    pub version: u32,
    /// Name of the suite.
    pub suite: String,
    /// Purpose of the suite, in a sentence.
    pub purpose: String,
    /// Time at which the run began (RFC 3339, UTC).
    pub started_utc: String,
    /// Command line that started the run.
    pub command: String,
    /// Version of c10k.
    pub c10k_version: String,
    /// Revision that the `c10k` binary was built from; every built-in subject is the same binary.
    /// It ends in `-dirty` if the source was changed, and is `unknown` if the binary was built
    /// outside a checkout.
    pub revision: String,
    /// Seed of the order of measurements.
    pub seed: u64,
    /// Rounds that were planned.
    pub rounds: u32,
    /// The machine.
    pub machine: Machine,
    /// Processors that the subjects were pinned to; empty if they were not pinned.
    pub server_cpus: Vec<usize>,
    /// Processors that the generator was pinned to; empty if it was not pinned.
    pub generator_cpus: Vec<usize>,
    /// Processors by physical core; `None` if the kernel does not report it, and in runs written
    /// before the kernel was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<Vec<Vec<usize>>>,
    /// The smallest CPU quota of the cgroups that the run was in, in processors; `None` if there
    /// was no quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_cpus: Option<f64>,
    /// Reason why servers had no cgroup of their own; `None` if they had one, and in runs written
    /// before such cgroups existed. Each record names the account that its CPU time comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_cgroup: Option<String>,
    /// The axes that the parameters of cells refer to, in the order in which they are shown.
    #[serde(default)]
    pub axes: Vec<Axis>,
    /// The servers under test, in the order of the suite.
    pub subjects: Vec<Subject>,
    /// Subjects of the suite that could not be measured on this machine: name and reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<(String, String)>,
    /// The workloads, in the order of the suite.
    pub workloads: Vec<WorkloadEntry>,
    /// Questions of the suite, each with the workloads that answer it; together they name every
    /// workload.
    #[serde(default)]
    pub questions: Vec<Question>,
    /// The cells that were planned.
    pub cells: Vec<Cell>,
    /// The claim that the suite tests, if it tests one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Request that started the run, so that an interrupted run can be resumed; `None` in runs
    /// written before resuming was possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Number of disturbed measurements that may be repeated.
    #[serde(default)]
    pub repeats: usize,
    /// Error of the instrument, as `c10k calibrate` last measured it on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// The parts of a run's request that its environment does not contain otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The text of the suite's file.
    pub suite: String,
    /// True if a quick run was requested.
    #[serde(default)]
    pub quick: bool,
    /// Filters that select cells.
    #[serde(default)]
    pub filters: Vec<String>,
    /// Subjects that replace the subjects of the suite.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// Further servers, as `NAME=COMMAND`.
    #[serde(default)]
    pub servers: Vec<String>,
}

/// Findings of `c10k calibrate`: the generator's own error, measured against servers whose true
/// times are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Version of the format: [`super::VERSION`].
    pub version: u32,
    /// Time of the calibration (RFC 3339, UTC).
    pub measured_utc: String,
    /// Requests per second that one worker sends, in a closed loop, to a server that does nothing
    /// but respond.
    pub highest_rps_per_worker: f64,
    /// CPU time of the generator per request in that closed loop, in microseconds.
    pub cpu_us_per_request: f64,
    /// Lateness of the generator's sends in an open loop of 10,000 requests per second, in
    /// microseconds: median and 99th percentile.
    pub send_lag_us: (f64, f64),
    /// Percentiles of responses that were held back for known, random times.
    pub delays: Vec<Comparison>,
    /// Percentiles of the latency of a server that stopped for a known time.
    pub stall: Vec<Comparison>,
    /// CPU time of servers by two accounts; `None` in calibrations written before the accounts were
    /// compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_accounts: Option<CpuAccounts>,
}

/// CPU time of some models by the clocks of their processes, compared with the account of a cgroup,
/// which misses nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CpuAccounts {
    /// Reason why the accounts could not be compared, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// The models that were compared.
    pub models: Vec<CpuComparison>,
}

/// CPU time per completed request of a model, in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CpuComparison {
    /// Name of the model.
    pub model: String,
    /// Requests per connection: `short` or `persistent`.
    pub lifetime: String,
    /// CPU time of the server by the account of a cgroup.
    pub cgroup_us: f64,
    /// CPU time of the server by the clocks of its processes.
    pub clocks_us: f64,
    /// CPU time of the generator.
    pub generator_us: f64,
}

impl CpuComparison {
    /// Returns the error of the clocks as a share: −0.08 if they show 8 % less than the cgroup's
    /// account.
    pub fn error(&self) -> f64 {
        self.clocks_us / self.cgroup_us - 1.0
    }
}

/// True value and measured value of a percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Percentile, between 0 and 100; 100 is the maximum.
    pub percentile: f64,
    /// The true value, in microseconds.
    pub true_us: f64,
    /// The measured value, in microseconds.
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
    /// Limits that affect the result, by name, such as `open files (soft)`, in display order.
    pub limits: Vec<(String, String)>,
}

/// A server under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Name as in the suite.
    pub name: String,
    /// Command that started the server, in one line. Parts that differ from cell to cell are in
    /// braces, such as `{workers}`.
    pub command: String,
    /// Name and version of a server that is not built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Declared profile: field (`waits`, `runs`, `accepts`) and value, in display order.
    pub traits: Vec<(String, String)>,
}

/// A workload of the suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadEntry {
    /// Name as in the suite, such as `persistent-64`.
    pub name: String,
    /// Description of its requests, in a sentence for a reader.
    pub description: String,
    /// Parameters of the workload. Records written before axes existed have none; the reader fills
    /// in those that it knows.
    #[serde(default)]
    pub parameters: Parameters,
    /// Number of connections at once.
    pub connections: usize,
    /// Requests per connection: `short`, `persistent` or a number.
    pub lifetime: String,
}

/// A question of the suite: a table of workloads that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question, such as `What do idle connections cost?`.
    pub title: String,
    /// Key of the axis that charts draw along; if `None`, they choose the numeric axis with the
    /// most values.
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
