//! Definition of a pass: what the file of each pass holds, and what it measures with.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use c10k_loadgen::{Target, Workload};

use crate::interrupt::Interrupt;
use crate::subject::RunningSubject;

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
    pub(super) fn target(&self, address: SocketAddr) -> Result<Target> {
        Ok(Target::resolve(&format!("http://{address}{}", self.path))?)
    }
}
