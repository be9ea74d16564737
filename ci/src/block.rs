//! Blocks: the raw data of a gate.
//!
//! A block is the unit of inference: all servers are started afresh for it, because a restart alone
//! changes the results of a server by about 1 %. Within a block the servers are measured
//! alternately in short slices. Slices come in pairs, and the first arm of a pair is random, so
//! that a drift of the machine affects both servers alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One start of all servers, with the measurements that were made of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Version of the block format.
    pub version: u32,
    /// Number of the block, from 1.
    pub number: u32,
    /// Start time of the block, in UTC.
    pub started_utc: String,
    /// Order in which the servers were started.
    pub started: Vec<Arm>,
    /// Cells in the order in which they were measured.
    pub cells: Vec<CellOfBlock>,
}

/// A side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// The server that the candidate is compared with.
    Base,
    /// The server that is judged.
    Candidate,
    /// A copy of the base that is judged like the candidate. An alarm about the copy is a false
    /// alarm.
    Null,
}

impl Arm {
    /// Returns the name of the arm in files and on pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Candidate => "candidate",
            Self::Null => "null",
        }
    }
}

/// A workload in one block.
#[derive(Debug, Clone, PartialEq)]
pub struct CellOfBlock {
    /// Name of the workload.
    pub workload: String,
    /// Slices in the order in which they were measured.
    pub slices: Vec<Slice>,
}

/// A short measurement of one server.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Number of the slice's pair within the cell, from 1. Every arm has one slice in each pair.
    pub pair: u32,
    /// The server.
    pub arm: Arm,
    /// Metric key → value, as in a record.
    pub metrics: BTreeMap<String, f64>,
    /// Requests that failed, as a share of those that were sent.
    pub failed_share: f64,
    /// Names of the failed checks that are about the server.
    pub failed_checks: Vec<String>,
}

/// Version of [`Block`].
pub const VERSION: u32 = 1;

impl CellOfBlock {
    /// Returns the base slice and the `arm` slice of each pair.
    pub(crate) fn pairs(&self, arm: Arm) -> impl Iterator<Item = (&Slice, &Slice)> {
        let of = |pair: u32, arm: Arm| {
            self.slices.iter().find(move |slice| slice.pair == pair && slice.arm == arm)
        };
        let last = self.slices.iter().map(|slice| slice.pair).max().unwrap_or(0);
        (1..=last).filter_map(move |pair| Some((of(pair, Arm::Base)?, of(pair, arm)?)))
    }
}
