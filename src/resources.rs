//! What a server's processes use, children included, read from `/proc`.
//!
//! Accounting in clock ticks of 10 ms would lose most of what 512 children use between two looks, so the total is the
//! scheduler's own, in nanoseconds, from the clock of each process (`clock_getcpuclockid(3)`); ticks only tell how it divides
//! into user mode and kernel, and what children used that have ended.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use c10k_reports::record::ServerUsage;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use rustix::param::clock_ticks_per_second;

/// How many threads are asked for their children at a look, which is in the way of what is measured. It takes 8 µs each, 42 ms
/// for 5,000; to ask a process for its parent takes 15 µs, but that has to be every process of the machine.
const MOST_ASKED: u64 = 128;

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

/// A process and its descendants.
fn tree(pid: u32) -> Vec<u32> {
    tree_by(pid, MOST_ASKED)
}

/// The same, asking at most so many threads of processes with several; from there on, all processes are asked who forked them.
fn tree_by(pid: u32, most_asked: u64) -> Vec<u32> {
    let (mut pids, mut left) = (vec![pid], most_asked);
    let mut next = 0;
    while let Some(&pid) = pids.get(next) {
        match tasks(pid) {
            0 | 1 => pids.extend(forked_by(pid, pid)),
            threads if threads <= left => {
                left -= threads;
                pids.extend(numbers_in(&task_folder(pid)).flat_map(|thread| forked_by(pid, thread)));
            }
            _ => return with_descendants(pids, next, parents_and_children()),
        }
        next += 1;
    }
    pids
}

/// Adds the descendants of those from `first` on.
fn with_descendants(mut pids: Vec<u32>, first: usize, mut children: HashMap<u32, Vec<u32>>) -> Vec<u32> {
    let mut next = first;
    while let Some(pid) = pids.get(next) {
        pids.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    pids
}

/// The children that a thread forked, and those that it has inherited from threads that are gone.
fn forked_by(pid: u32, thread: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The children of every process of the machine that has any.
fn parents_and_children() -> HashMap<u32, Vec<u32>> {
    let mut children = HashMap::<u32, Vec<u32>>::new();
    for pid in numbers_in("/proc") {
        if let Some(stat) = Stat::read(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    children
}

/// How many threads a process has: as every folder, that of its tasks has two links, and one for each folder in it.
fn tasks(pid: u32) -> u64 {
    fs::metadata(task_folder(pid)).map_or(0, |folder| folder.nlink().saturating_sub(2))
}

fn task_folder(pid: u32) -> String {
    format!("/proc/{pid}/task")
}

/// The processes or threads that a folder of `/proc` is about.
fn numbers_in(folder: &str) -> impl Iterator<Item = u32> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
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

/// Who started a process, and its CPU times in ticks: fields of `/proc/PID/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    user: u64,
    system: u64,
    children_user: u64,
    children_system: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field is a name that may hold anything, closing parentheses included.
        let (_, fields) = text.rsplit_once(") ")?;
        // Fields 4 and 14 to 17 of proc_pid_stat(5); the first one here is field 3.
        let mut fields = fields.split(' ').skip(1);
        let parent = fields.next()?.parse().ok()?;
        let mut ticks = fields.skip(9).map_while(|field| field.parse().ok());
        let mut next = || ticks.next();
        Some(Self {
            parent,
            user: next()?,
            system: next()?,
            children_user: next()?,
            children_system: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn reads_the_fields_behind_a_name_with_parentheses() {
        let stat = Stat::parse("7 (a) b)) S 1 7 7 0 -1 4194304 1 2 3 4 50 60 70 80 20 0 1").unwrap();
        assert_eq!(stat, Stat { parent: 1, user: 50, system: 60, children_user: 70, children_system: 80 });
    }

    #[test]
    fn children_count_whichever_thread_forked_them_and_however_they_are_found() {
        let (sender, receiver) = mpsc::channel();
        let (looked, has_looked) = mpsc::channel::<()>();
        let forker = thread::spawn(move || {
            let mut command = Command::new("sh");
            command.args(["-c", "(echo; exec cat); :"]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut shell = command.spawn().unwrap();
            BufReader::new(shell.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
            sender.send(shell.id()).unwrap();
            // It ends its wait when nobody is left to send.
            let _ = has_looked.recv();
            drop(shell.stdin.take());
            shell.wait().unwrap();
        });
        let shell = receiver.recv().unwrap();
        assert!(tasks(std::process::id()) > 1);
        for most_asked in [u64::MAX, 0] {
            let tree = tree_by(std::process::id(), most_asked);
            let family = [vec![shell], forked_by(shell, shell)].concat();
            assert_eq!(family.len(), 2);
            assert!(family.iter().all(|pid| tree.contains(pid)), "{family:?} in {tree:?} of {most_asked}");
        }
        drop(looked);
        forker.join().unwrap();
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
        BufReader::new(shell.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let used = usage(shell.id(), &CpuTime::default(), &CpuTime::of_tree(shell.id()).unwrap());
        assert!(used.user_s + used.system_s > 0.02, "{used:?}");
        assert!(used.memory_bytes > 0 && used.tasks == 1, "{used:?}");
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }
}
