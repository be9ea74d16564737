//! What this machine has room for.

use std::fs;

use rustix::process::{Resource, geteuid, getrlimit};

use crate::model::{Model, Runs};

/// Memory of a connection, in KiB, at the server and in the kernel for both its ends; measured, and with a reserve. Without
/// a task: 10 in the kernel and less than one in the server. A thread adds what it touches of its stack, a process its own
/// page tables and what it writes to.
const KIB_PER_CONNECTION: u64 = 16;
const KIB_PER_THREAD: u64 = 64;
const KIB_PER_PROCESS: u64 = 400;

/// What the machine needs beside that: files, tasks and KiB of memory.
const OTHER_FILES: u64 = 500;
const OTHER_TASKS: u64 = 2000;
const OTHER_KIB: u64 = 1024 * 1024;

/// Mappings of a thread: its stack and the guard page below it.
const MAPPINGS_PER_THREAD: u64 = 2;

/// Whether this machine has room for a server with so many connections and for their clients; what is missing if not.
pub fn check_room(model: &Model, connections: usize) -> Result<(), String> {
    let connections = connections as u64;
    let files = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    require("open files, see `ulimit -Hn`", connections + OTHER_FILES, Some(files))?;
    let (kib, tasks, mappings) = match model.runs {
        _ if !model.serves_several() => (0, 0, 0),
        Runs::Process | Runs::ProcessPool => (KIB_PER_PROCESS, 1, 0),
        Runs::Thread | Runs::ThreadPool => (KIB_PER_THREAD, 1, MAPPINGS_PER_THREAD),
        Runs::Loop => (0, 0, 0),
    };
    let kib = connections * (KIB_PER_CONNECTION + kib) + OTHER_KIB;
    require("KiB of available memory", kib, available_kib())?;
    if tasks > 0 {
        let tasks = connections * tasks + OTHER_TASKS;
        for file in ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"] {
            require(file, tasks, read_number(file))?;
        }
        require("tasks of its control group, pids.max", tasks, tasks_of_group())?;
        // The superuser is not bound by it.
        let own = getrlimit(Resource::Nproc).current.filter(|_| !geteuid().is_root());
        require("processes, see `ulimit -u`", tasks, own)?;
    }
    let file = "/proc/sys/vm/max_map_count";
    require(file, connections * mappings, read_number(file))
}

/// Where it is not known how much there is, it is tried.
fn require(what: &str, needed: u64, there: Option<u64>) -> Result<(), String> {
    match there {
        Some(there) if there < needed => Err(format!("needs {needed}, and there are {there}: {what}")),
        _ => Ok(()),
    }
}

fn read_number(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn available_kib() -> Option<u64> {
    let table = fs::read_to_string("/proc/meminfo").ok()?;
    let row = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    row.split_whitespace().next()?.parse().ok()
}

/// `pids.max` of the group that this process is in (cgroups(7), version 2); nothing where there is no such bound.
fn tasks_of_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    read_number(&format!("/sys/fs/cgroup{group}/pids.max"))
}
