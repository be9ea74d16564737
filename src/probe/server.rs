//! A server as the probes know it: a process, and a cgroup if the server has one of its own.

use super::charge;
use crate::cgroup::Group;
use crate::cpus::CpuList;

/// A server under measurement.
#[derive(Debug, Clone)]
pub struct Server {
    /// ID of its process. Processes that it forks belong to the server.
    pub pid: u32,
    /// Cgroup of its own. Without it, the CPU time is read from the clocks of its processes.
    pub(crate) group: Option<Group>,
    /// True if it runs on a host of a network, and the generator on another one.
    pub(crate) has_own_host: bool,
}

/// A server that this harness did not start. Its cgroup may have other processes in it.
impl From<u32> for Server {
    fn from(pid: u32) -> Self {
        Self { pid, group: None, has_own_host: false }
    }
}

impl Server {
    /// Brings the kernel's account of the server's CPU time up to date.
    pub(crate) fn charge(&self) {
        if let Ok(cpus) = CpuList::of(Some(self.pid.cast_signed())) {
            charge::up_to_now(&cpus);
        }
    }
}
