//! What a server's processes use, children included, read from `/proc`.
//!
//! Accounting in clock ticks of 10 ms would lose most of what 512 children use between two looks, so the total is the
//! scheduler's own, in nanoseconds, from the clock of each process (`clock_getcpuclockid(3)`); ticks only tell how it divides
//! into user mode and kernel, and what children used that have ended.

use std::fs;
use std::path::Path;
use std::time::Duration;

use c10k_reports::record::ServerUsage;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use rustix::param::clock_ticks_per_second;

/// CPU time of a process and all its descendants, those that have ended included, since they were started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CpuTime {
    total_s: f64,
    user_ticks: u64,
    system_ticks: u64,
}

impl CpuTime {
    /// Reads it; `None` when the process can't be looked at. A descendant that is gone has used nothing.
    pub fn of_tree(pid: u32) -> Option<Self> {
        let tick_s = 1.0 / clock_ticks_per_second() as f64;
        let mut sum = Self::default();
        for process in tree(pid) {
            let (Some(stat), Some(used)) = (Stat::read(process), cpu_clock(process)) else {
                if process == pid {
                    return None;
                }
                continue;
            };
            sum.total_s += used.as_secs_f64() + (stat.children_user + stat.children_system) as f64 * tick_s;
            sum.user_ticks += stat.user + stat.children_user;
            sum.system_ticks += stat.system + stat.children_system;
        }
        Some(sum)
    }
}

/// What was used between two readings, and what is held at the second.
pub fn usage(pid: u32, begin: &CpuTime, end: &CpuTime) -> ServerUsage {
    let total_s = (end.total_s - begin.total_s).max(0.0);
    let user = end.user_ticks.saturating_sub(begin.user_ticks) as f64;
    let system = end.system_ticks.saturating_sub(begin.system_ticks) as f64;
    let user_share = if user + system > 0.0 { user / (user + system) } else { 0.0 };
    let (memory_bytes, tasks) = held(pid);
    ServerUsage { user_s: total_s * user_share, system_s: total_s * (1.0 - user_share), memory_bytes, tasks }
}

/// What a process and all its descendants hold now: their PSS in bytes, and how many tasks (threads of processes) they are.
pub fn held(pid: u32) -> (u64, u64) {
    let pids = tree(pid);
    let memory_bytes = pids.iter().map(|&pid| proportional_set_size(pid)).sum();
    (memory_bytes, pids.iter().map(|&pid| tasks(pid)).sum())
}

/// A process and its descendants. A process of many threads is taken to fork from its first one: to look at all of them
/// would take long enough to be in the way of what is measured.
fn tree(pid: u32) -> Vec<u32> {
    let mut pids = vec![pid];
    let mut next = 0;
    while next < pids.len() {
        let pid = pids[next];
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        pids.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        next += 1;
    }
    pids
}

fn tasks(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, |entries| entries.count() as u64)
}

/// Time on a processor of all threads of a process, those that have ended included.
fn cpu_clock(pid: u32) -> Option<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.cast_signed())).ok()?;
    Some(clock_gettime(clock).ok()?.into())
}

/// Resident memory, shared pages divided among those who share them, in bytes.
fn proportional_set_size(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let pss =
        text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok());
    pss.unwrap_or(0) * 1024
}

/// The CPU fields of `/proc/PID/stat`, in ticks.
#[derive(Debug, PartialEq)]
struct Stat {
    user: u64,
    system: u64,
    children_user: u64,
    children_system: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field is a name that may hold anything, closing parentheses included.
        let (_, fields) = text.rsplit_once(") ")?;
        // Fields 14 to 17 of proc_pid_stat(5); the first one here is field 3.
        let mut ticks = fields.split(' ').skip(11).map_while(|field| field.parse().ok());
        let mut next = || ticks.next();
        Some(Self { user: next()?, system: next()?, children_user: next()?, children_system: next()? })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn reads_the_fields_behind_a_name_with_parentheses() {
        let stat = Stat::parse("7 (a) b)) S 1 7 7 0 -1 4194304 1 2 3 4 50 60 70 80 20 0 1").unwrap();
        assert_eq!(stat, Stat { user: 50, system: 60, children_user: 70, children_system: 80 });
    }

    #[test]
    fn children_count_while_they_run_and_after_they_ended() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let mut shell = Command::new("sh")
            .args(["-c", &format!("({busy}) & wait; echo done; read line")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(shell.stdout.as_mut().unwrap()), &mut line)
            .unwrap();
        let used = usage(shell.id(), &CpuTime::default(), &CpuTime::of_tree(shell.id()).unwrap());
        assert!(used.user_s + used.system_s > 0.02, "{used:?}");
        assert!(used.memory_bytes > 0 && used.tasks == 1, "{used:?}");
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
