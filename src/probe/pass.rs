//! Probes that slow what they watch: each measures in a pass of its own, with a server of its own, once for each cell. One
//! line in [`ALL`] each.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;

use anyhow::Result;
use c10k_loadgen::{Target, Workload};

use super::system_calls;
use crate::interrupt::Interrupt;
use crate::subject::RunningSubject;

/// All passes.
pub const ALL: &[Pass] = &[Pass {
    name: system_calls::NAME,
    run: |bench| system_calls::per_request(&mut *bench.launch, bench.target, bench.workload, bench.interrupt),
}];

/// A probe with a pass of its own.
#[derive(Debug)]
pub struct Pass {
    /// Its name in suites, and in the reasons of missing readings.
    pub name: &'static str,
    /// Measures, and gives readings.
    ///
    /// # Errors
    /// When it can't; that is a missing reading with its reason, and no failure of the cell.
    pub run: fn(Bench<'_>) -> Result<BTreeMap<String, f64>>,
}

/// What a pass measures with.
pub struct Bench<'a> {
    /// Starts the server behind the given beginning of its command line.
    pub launch: &'a mut dyn FnMut(&[OsString]) -> Result<RunningSubject>,
    /// Says what a server that listens there is asked.
    pub target: &'a dyn Fn(SocketAddr) -> Result<Target>,
    /// What the generator sends in a measurement of the cell.
    pub workload: &'a Workload,
    /// Ends the pass early.
    pub interrupt: &'a Interrupt,
}

/// The pass of that name.
pub fn find(name: &str) -> Option<&'static Pass> {
    ALL.iter().find(|pass| pass.name == name)
}
