//! `cpu`: time that the server's processes spent on processors, in user mode and in the kernel.
//!
//! The total is the scheduler's own, in nanoseconds. Ticks of 10 ms only tell how it divides into
//! user mode and kernel, and what children used that have ended.

use anyhow::Result;
use procfs::ticks_per_second;

use super::tree::Tree;
use super::{Finish, Probe, Read, Values};

pub(super) const PROBE: Probe = Probe { name: "cpu", read: Read::Both(begin) };

/// CPU time of a process and all its descendants, those that have ended included, since they were
/// started.
#[derive(Debug, Clone, Copy, PartialEq)]
struct CpuTime {
    total_s: f64,
    user_ticks: f64,
    system_ticks: f64,
}

fn begin(tree: &Tree) -> Result<Finish> {
    let begin = CpuTime::of(tree)?;
    Ok(Box::new(move |tree| Ok(CpuTime::of(tree)?.since(&begin))))
}

/// CPU time of a tree since its processes were started, in seconds.
pub(super) fn total_s(tree: &Tree) -> Result<f64> {
    Ok(CpuTime::of(tree)?.total_s)
}

impl CpuTime {
    fn of(tree: &Tree) -> Result<Self> {
        tree.ensure_ended_children_count()?;
        let mut sum = Self { total_s: 0.0, user_ticks: 0.0, system_ticks: 0.0 };
        for member in &tree.members {
            let stat = &member.stat;
            let ended = (stat.cutime + stat.cstime) as f64 / ticks_per_second() as f64;
            sum.total_s += member.cpu.as_secs_f64() + ended;
            sum.user_ticks += stat.utime as f64 + stat.cutime as f64;
            sum.system_ticks += stat.stime as f64 + stat.cstime as f64;
        }
        Ok(sum)
    }

    fn since(&self, begin: &Self) -> Values {
        let total_s = (self.total_s - begin.total_s).max(0.0);
        let user = (self.user_ticks - begin.user_ticks).max(0.0);
        let system = (self.system_ticks - begin.system_ticks).max(0.0);
        let user_share = if user + system > 0.0 { user / (user + system) } else { 0.0 };
        vec![
            ("server_cpu_user_s", total_s * user_share),
            ("server_cpu_system_s", total_s * (1.0 - user_share)),
        ]
    }
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
    fn what_was_used_before_the_begin_does_not_count() {
        let used = used_s(&format!("{BUSY}; echo; read line; echo; read line"));
        assert!(used < 0.02, "{used} s");
    }

    #[test]
    fn the_total_is_divided_by_ticks() {
        let begin = CpuTime { total_s: 1.0, user_ticks: 10.0, system_ticks: 10.0 };
        let end = CpuTime { total_s: 3.0, user_ticks: 11.0, system_ticks: 13.0 };
        assert_eq!(end.since(&begin), [("server_cpu_user_s", 0.5), ("server_cpu_system_s", 1.5)]);
        let same_tick = CpuTime { total_s: 1.004, ..begin };
        assert_eq!(same_tick.since(&begin)[0], ("server_cpu_user_s", 0.0));
    }
}
