//! Plan of a gate: what is compared, with which workloads, and how many blocks are measured.
//!
//! The plan is written to `plan.json` before the first block, so that nothing in it can depend on
//! what was measured, and a gate can be judged and drawn again from its folder alone.

use c10k_reports::record::Machine;
use serde::{Deserialize, Serialize};

use crate::margin::Margins;
use crate::series::Unjudged;

/// Version of [`Plan`].
pub const VERSION: u32 = 1;

/// Plan of a gate: its servers, its workloads and its measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of the plan format, [`VERSION`].
    pub version: u32,
    /// Start time of the gate (RFC 3339, UTC).
    pub started_utc: String,
    /// Command line that started the gate.
    pub command: String,
    /// Version of c10k, which drives the load.
    pub c10k_version: String,
    /// Revision that this c10k was built from.
    pub c10k_revision: String,
    /// The machine.
    pub machine: Machine,
    /// Processors that the servers were pinned to; empty where nothing was pinned.
    pub server_cpus: Vec<usize>,
    /// Processors that the generator was pinned to; empty where nothing was pinned.
    pub generator_cpus: Vec<usize>,
    /// The server that the candidate is compared with.
    pub base: Server,
    /// The server that is judged.
    pub candidate: Server,
    /// True if a copy of the base is measured as a third server.
    pub null: bool,
    /// Name of the suite, or its file.
    pub suite: String,
    /// Workloads that are measured.
    pub workloads: Vec<Workload>,
    /// Number of blocks.
    pub blocks: u32,
    /// Number of slice pairs of a workload within a block.
    pub pairs: u32,
    /// Length of a slice, in seconds.
    pub slice_s: f64,
    /// Time that measuring may take, in seconds; absent for counts, which take as long as they
    /// need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_s: Option<f64>,
    /// Seed of all random orders.
    pub seed: u64,
    /// Margins that the candidate is judged with.
    pub margins: Margins,
    /// True if the gate compares counts instead of times. Each count is taken from a freshly
    /// started server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counts: bool,
    /// Counts that this machine can't take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncounted: Vec<Unjudged>,
}

/// A server of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// The revision as the user named it; absent where a command was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The commit, followed by `+changes` if it was built with uncommitted changes; absent where a
    /// command was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Command that starts the server.
    pub command: String,
}

/// A workload of the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// Name of the workload.
    pub name: String,
    /// Description of the requests, in a sentence.
    pub description: String,
    /// Requests per second that each server is offered in an open loop; absent in a closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_rps: Option<f64>,
}
