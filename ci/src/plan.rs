//! Plan of a gate: what is compared, with which workloads, and how many blocks are measured.
//!
//! It is written to `plan.json` before the first block, so that nothing in it can depend on what was
//! measured, and a gate can be judged and drawn again from its folder alone.

use c10k_reports::record::Machine;
use serde::{Deserialize, Serialize};

use crate::margin::Margins;
use crate::series::Unjudged;

/// Version of [`Plan`].
pub const VERSION: u32 = 1;

/// What a gate compares, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// When the gate began (RFC 3339, UTC).
    pub started_utc: String,
    /// The command line that began it.
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
    /// The server that is compared with.
    pub base: Server,
    /// The server that is judged.
    pub candidate: Server,
    /// Whether a copy of the base is measured as a third server.
    pub null: bool,
    /// Name of the suite, or its file.
    pub suite: String,
    /// Its workloads.
    pub workloads: Vec<Workload>,
    /// Blocks that are measured.
    pub blocks: u32,
    /// Pairs of slices of a workload within a block.
    pub pairs: u32,
    /// Length of a slice, in seconds.
    pub slice_s: f64,
    /// Time that measuring may take, in seconds; absent for counts, which take as long as they need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_s: Option<f64>,
    /// Seed of all random orders.
    pub seed: u64,
    /// Margins that it is judged with.
    pub margins: Margins,
    /// Whether it compares counts, each of a fresh server, in place of times.
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
    /// The commit, with `+changes` behind it where uncommitted changes were built; absent where a
    /// command was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The command that serves.
    pub command: String,
}

/// A workload of the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Its requests, in a sentence.
    pub description: String,
    /// Requests per second that both servers are offered in an open loop; absent in a closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_rps: Option<f64>,
}
