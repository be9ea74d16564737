//! `cpu`: time that the server's processes spent on processors, in user mode and in the kernel.
//!
//! If the server has a cgroup of its own, the time is read from the group's account. Otherwise it
//! is the sum of the clocks of the server's processes, which has two errors. A thread that ends
//! takes with it the time that it used since the scheduler last looked, some microseconds. And
//! ticks decide how the time of a process divides into user mode and kernel: all of it is user mode
//! if no tick fell into the life of the process.

use anyhow::{Context, Result};
use c10k_reports::record::CpuAccount;
use procfs::ticks_per_second;

use super::definition::{Finish, Probe, Read, Values};
use super::server::Server;
use super::tree::Tree;
use crate::cgroup::{CpuTime, Group};

pub(super) const PROBE: Probe = Probe { name: "cpu", read: Read::Both(begin) };

fn begin(tree: &Tree) -> Result<Finish> {
    let begin = of(tree)?;
    Ok(Box::new(move |tree| Ok(since(&begin, &of(tree)?))))
}

/// Returns the account that the CPU time of this server is from.
pub(super) fn account(server: &Server) -> CpuAccount {
    server.group.as_ref().map_or(CpuAccount::ProcessClocks, Group::account)
}

impl Server {
    /// Returns the CPU time of the server's processes since they were started, in seconds.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn cpu_s(&self) -> Result<f64> {
        self.charge();
        match &self.group {
            Some(group) => Ok(group.cpu_time()?.total_s),
            None => total_s(&Tree::of(self)?),
        }
    }
}

/// CPU time of a server by both accounts, at the same moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BothAccounts {
    /// CPU time by the server's cgroup, in seconds.
    pub(crate) cgroup_s: f64,
    /// CPU time by the clocks of the server's processes, in seconds.
    pub(crate) clocks_s: f64,
}

impl BothAccounts {
    /// Reads both accounts.
    ///
    /// # Errors
    /// When the server has no cgroup of its own, or is gone.
    pub(crate) fn of(server: &Server) -> Result<Self> {
        let group = server.group.as_ref().context("the server has no cgroup of its own")?;
        let cgroup_s = group.cpu_time()?.total_s;
        Ok(Self { cgroup_s, clocks_s: by_clocks(&Tree::of(server)?)?.total_s })
    }

    /// Returns the CPU time that was used since `begin`.
    pub(crate) fn since(self, begin: Self) -> Self {
        Self { cgroup_s: self.cgroup_s - begin.cgroup_s, clocks_s: self.clocks_s - begin.clocks_s }
    }
}

/// Returns the CPU time of a tree since its processes were started, in seconds.
pub(super) fn total_s(tree: &Tree) -> Result<f64> {
    Ok(of(tree)?.total_s)
}

/// Returns the CPU time of a tree since its processes were started, including processes that have
/// ended.
fn of(tree: &Tree) -> Result<CpuTime> {
    tree.group.as_ref().map_or_else(|| by_clocks(tree), Group::cpu_time)
}

/// Adds up the clocks of the processes. The total is the scheduler's own, in nanoseconds. Ticks of
/// 10 ms are used only for its division into user mode and kernel, and for the time of ended
/// children.
fn by_clocks(tree: &Tree) -> Result<CpuTime> {
    tree.ensure_ended_children_count()?;
    let mut sum = CpuTime { total_s: 0.0, user: 0.0, system: 0.0 };
    for member in &tree.members {
        let stat = &member.stat;
        let ended = (stat.cutime + stat.cstime) as f64 / ticks_per_second() as f64;
        sum.total_s += member.cpu.as_secs_f64() + ended;
        sum.user += stat.utime as f64 + stat.cutime as f64;
        sum.system += stat.stime as f64 + stat.cstime as f64;
    }
    Ok(sum)
}

fn since(begin: &CpuTime, end: &CpuTime) -> Values {
    let total_s = (end.total_s - begin.total_s).max(0.0);
    let user = (end.user - begin.user).max(0.0);
    let system = (end.system - begin.system).max(0.0);
    let user_share = if user + system > 0.0 { user / (user + system) } else { 0.0 };
    vec![
        ("server_cpu_user_s", total_s * user_share),
        ("server_cpu_system_s", total_s * (1.0 - user_share)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::Watch;
    use super::super::fixture::Shell;
    use super::*;

    const BUSY: &str = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";

    fn used_s(script: &str) -> f64 {
        let mut shell = Shell::start(script);
        let watch = Watch::begin(shell.pid());
        shell.ask();
        let readings = watch.end();
        readings.values["server_cpu_user_s"] + readings.values["server_cpu_system_s"]
    }

    #[test]
    fn children_count_while_they_run() {
        let used = used_s(&format!("(echo; read line; {BUSY}; echo; read line); :"));
        assert!(used > 0.02, "{used} s");
    }

    #[test]
    fn children_count_after_they_ended() {
        let used = used_s(&format!("echo; read line; ({BUSY}); echo; read line"));
        assert!(used > 0.02, "{used} s");
    }

    #[test]
    fn cpu_time_before_the_beginning_does_not_count() {
        let used = used_s(&format!("{BUSY}; echo; read line; echo; read line"));
        assert!(used < 0.02, "{used} s");
    }

    #[test]
    fn the_total_is_divided_by_ticks() {
        let begin = CpuTime { total_s: 1.0, user: 10.0, system: 10.0 };
        let end = CpuTime { total_s: 3.0, user: 11.0, system: 13.0 };
        assert_eq!(since(&begin, &end), [("server_cpu_user_s", 0.5), ("server_cpu_system_s", 1.5)]);
        let same_tick = CpuTime { total_s: 1.004, ..begin };
        assert_eq!(since(&begin, &same_tick)[0], ("server_cpu_user_s", 0.0));
    }

    #[test]
    fn a_server_that_another_program_started_has_the_account_of_its_clocks() {
        let shell = Shell::start("echo; read line");
        let readings = Watch::begin(shell.pid()).end();
        assert_eq!(readings.cpu_account, Some(CpuAccount::ProcessClocks));
    }
}
