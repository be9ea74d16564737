//! Processes as /proc shows them: parents and children, zombies, CPU time and resources.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::path::Path;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Pid, Signal, kill_process};

/// A process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    parent: i32,
    /// Start time: a process number is used again, but not with the same start time.
    start_ticks: u64,
    cpu_ticks: u64,
    pub is_zombie: bool,
}

impl Process {
    /// Returns the process with the number `pid`; `None` if there is none, or no longer.
    pub fn find(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold anything; the third field of proc_pid_stat(5)
        // follows the last parenthesis.
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            pid,
            parent: number(4)? as i32,
            start_ticks: number(22)?,
            cpu_ticks: number(14)? + number(15)?,
            is_zombie: fields[0] == "Z",
        })
    }

    /// Returns true if the process is still there, if only as a zombie.
    pub fn is_there(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.start_ticks == self.start_ticks)
    }

    /// Kills the process.
    pub fn kill(&self) {
        // The process may have ended by itself meanwhile.
        let _ = Pid::from_raw(self.pid).map(|pid| kill_process(pid, Signal::KILL));
    }

    /// Returns the CPU time that the process has taken.
    pub fn cpu_time(&self) -> Duration {
        Duration::from_secs_f64(self.cpu_ticks as f64 / clock_ticks_per_second() as f64)
    }

    /// Returns the number of threads.
    pub fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.pid)).map_or(0, Iterator::count)
    }

    /// Returns true if all threads sleep at once. Each of them may sleep for a moment while another
    /// one runs that will wake it or start one more, so no thread may have run between two looks at
    /// all of them.
    pub fn rests(&self) -> bool {
        let sleepers = self.sleepers();
        sleepers.is_some() && sleepers == self.sleepers()
    }

    /// Returns the number of context switches of each thread; `None` if a thread does not sleep.
    fn sleepers(&self) -> Option<Vec<(OsString, u64)>> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).ok()?;
        let sleeper = |task: DirEntry| {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let switches =
                |line: &str| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok();
            let sleeps = status.lines().any(|line| line.starts_with("State:\tS"));
            sleeps.then(|| (task.file_name(), status.lines().filter_map(switches).sum()))
        };
        tasks.flatten().map(sleeper).collect()
    }

    /// Returns the numbers of the open descriptors.
    pub fn open_files(&self) -> Vec<u64> {
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", self.pid)) else {
            return Vec::new();
        };
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// Returns the size of the address space, in bytes.
    pub fn address_space(&self) -> u64 {
        let sizes =
            fs::read_to_string(format!("/proc/{}/statm", self.pid)).expect("the process is there");
        let pages: u64 =
            sizes.split(' ').next().and_then(|pages| pages.parse().ok()).expect("it has a size");
        pages * page_size() as u64
    }
}

/// Returns all processes below `ancestor`, at any depth.
pub fn descendants(ancestor: i32) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    let entries = fs::read_dir("/proc").expect("/proc can be read");
    for process in entries.flatten().filter_map(|entry| find_by_folder(&entry.path())) {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            parents.push(child.pid);
            found.push(child);
        }
    }
    found
}

fn find_by_folder(folder: &Path) -> Option<Process> {
    Process::find(folder.file_name()?.to_str()?.parse().ok()?)
}
