//! Time of a worker's own thread in the measured part: running on a processor, ready to run without
//! one, or idle.

use std::time::Duration;

use crate::usage::{ThreadUsage, cpu_wait};

/// Counters of the thread at the beginning of the measured part, and its idle time since then.
#[derive(Debug, Default)]
pub(super) struct OwnTime {
    usage_at_begin: Option<ThreadUsage>,
    /// Wait for a processor up to the last tick before the measured part.
    cpu_wait_before: Option<Duration>,
    idle_ns: u64,
}

impl OwnTime {
    /// Reads the wait for a processor before the measured part. Reading it at the beginning would
    /// be too late: the worker may have no processor from then until the end.
    pub fn look(&mut self) {
        self.cpu_wait_before = cpu_wait();
    }

    /// Begins the measured part.
    pub fn begin(&mut self) {
        self.usage_at_begin = Some(ThreadUsage::now());
    }

    /// Adds time in which the worker had nothing to do but wait.
    pub fn add_idle(&mut self, ns: u64) {
        self.idle_ns += ns;
    }

    /// Returns the time in which the worker had nothing to do but wait.
    pub fn idle(&self) -> Duration {
        Duration::from_nanos(self.idle_ns)
    }

    /// Returns the CPU time since the beginning of the measured part; zero if it has not begun.
    pub fn usage(&self) -> ThreadUsage {
        self.usage_at_begin
            .map_or_else(ThreadUsage::default, |begin| ThreadUsage::now().since(begin))
    }

    /// Returns the time for which the worker was ready to run and had no processor; `None` if the
    /// kernel does not count it.
    pub fn cpu_wait(&self) -> Option<Duration> {
        let before = self.cpu_wait_before.unwrap_or_default();
        cpu_wait().map(|wait| wait.saturating_sub(before))
    }
}
