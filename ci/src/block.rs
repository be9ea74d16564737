//! Blocks: the raw data of a gate.
//!
//! A block is the unit of inference: both servers are started afresh for it, since a restart alone
//! moves a server by about 1 %. Within it the servers are measured in short slices, alternating, in
//! pairs whose first arm is random, so that a drift of the machine hits both alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One start of all servers, and what was measured of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Version of this shape.
    pub version: u32,
    /// Its number, from 1.
    pub number: u32,
    /// When it began, in UTC.
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
    /// What is compared with.
    Base,
    /// What is judged.
    Candidate,
    /// A copy of the base, judged as the candidate is: an alarm about it is one without a cause.
    Null,
}

impl Arm {
    /// What files and pages call it.
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
    /// Number of its pair within the cell, from 1. Every arm has one slice in each.
    pub pair: u32,
    /// The server.
    pub arm: Arm,
    /// Key → value, as in a record.
    pub metrics: BTreeMap<String, f64>,
    /// Requests that failed, as a share of those that were sent.
    pub failed_share: f64,
    /// Checks that failed and are about the server, by name.
    pub failed_checks: Vec<String>,
}

/// Version of [`Block`].
pub const VERSION: u32 = 1;

impl CellOfBlock {
    /// Base and `arm` of each pair.
    pub(crate) fn pairs(&self, arm: Arm) -> impl Iterator<Item = (&Slice, &Slice)> {
        let of = |pair: u32, arm: Arm| {
            self.slices.iter().find(move |slice| slice.pair == pair && slice.arm == arm)
        };
        let last = self.slices.iter().map(|slice| slice.pair).max().unwrap_or(0);
        (1..=last).filter_map(move |pair| Some((of(pair, Arm::Base)?, of(pair, arm)?)))
    }
}
