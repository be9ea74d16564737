//! Passes: measurements beside the timed one. Each has a server of its own, because it slows the
//! server or needs another one. One pass, one file, and one line in [`ALL`].
//!
//! A table of workloads says which passes its cells have. Each pass runs once for a cell, in the
//! first round, and its results are added to the readings of that round's record.

mod allocations;
mod counted;
mod hardware_counters;
mod one_connection;
mod perf;
mod system_calls;
mod user_instructions;
mod valgrind;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use c10k_loadgen::{Target, Workload};

use crate::interrupt::Interrupt;
use crate::subject::RunningSubject;

/// All passes.
pub const ALL: &[Pass] = &[
    system_calls::PASS,
    hardware_counters::PASS,
    user_instructions::PASS,
    allocations::PASS,
    one_connection::PASS,
];

/// A measurement beside the timed one.
#[derive(Debug)]
pub struct Pass {
    /// Name in suites, and in the reasons of missing readings.
    pub name: &'static str,
    /// Approximate length, for the estimated time of a run.
    pub estimate: Duration,
    /// Measures, and returns readings.
    ///
    /// # Errors
    /// When the pass can't measure. This is a missing reading with its reason, and no failure of
    /// the cell.
    pub run: fn(&Bench<'_>) -> Result<BTreeMap<String, f64>>,
}

/// Function that starts a server. It takes a prefix of the server's command line, and a number of
/// connections, which is that of the cell if `None`.
pub type Launch<'a> = dyn Fn(&[OsString], Option<usize>) -> Result<RunningSubject> + 'a;

/// Server and workload that a pass measures with.
pub struct Bench<'a> {
    /// Starts the server.
    pub launch: &'a Launch<'a>,
    /// Path of the requests.
    pub path: &'a str,
    /// Requests that the generator sends in a timed measurement of the cell.
    pub workload: &'a Workload,
    /// Ends the pass early.
    pub interrupt: &'a Interrupt,
}

impl Bench<'_> {
    /// Returns the target for a server that listens at `address`.
    fn target(&self, address: SocketAddr) -> Result<Target> {
        Ok(Target::resolve(&format!("http://{address}{}", self.path))?)
    }
}

/// Returns the pass with this name.
pub fn find(name: &str) -> Option<&'static Pass> {
    ALL.iter().find(|pass| pass.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::probe;

    #[test]
    fn no_pass_has_the_name_of_another_or_of_a_probe() {
        let probes = probe::ALL.iter().map(|probe| probe.name);
        let names: HashSet<_> = ALL.iter().map(|pass| pass.name).chain(probes).collect();
        assert_eq!(names.len(), ALL.len() + probe::ALL.len());
    }
}
