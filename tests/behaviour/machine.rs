//! Capacity of this machine: open files, tasks and memory for a server with many connections.

use std::fs;

use c10k_servers::Execution;
use rustix::process::{Resource, geteuid, getrlimit};

use crate::model::Model;

/// Memory of a connection, in KiB, at the server and in the kernel for both of its ends; measured,
/// with a reserve. A connection without a task takes 10 KiB in the kernel and less than 1 KiB in
/// the server. A thread adds the part of its stack that it touches; a process adds its page tables
/// and the pages that it writes to.
const KIB_PER_CONNECTION: u64 = 16;
const KIB_PER_THREAD: u64 = 64;
const KIB_PER_PROCESS: u64 = 400;

/// Files, tasks and KiB of memory that the machine needs beside those of the connections.
const OTHER_FILES: u64 = 500;
const OTHER_TASKS: u64 = 2000;
const OTHER_KIB: u64 = 1024 * 1024;

/// Mappings of a thread: its stack and the guard page below it.
const MAPPINGS_PER_THREAD: u64 = 2;

/// Checks that this machine has enough resources for a server with that many connections and for
/// their clients; an error names the resource that is missing.
pub fn check_capacity(model: &Model, connections: usize) -> Result<(), String> {
    let connections = connections as u64;
    let files = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    require("open files, see `ulimit -Hn`", connections + OTHER_FILES, Some(files))?;
    let (kib, tasks, mappings) = match model.profile.execution {
        _ if !model.serves_several() => (0, 0, 0),
        Execution::Process | Execution::ProcessPool => (KIB_PER_PROCESS, 1, 0),
        Execution::Thread | Execution::Pool => (KIB_PER_THREAD, 1, MAPPINGS_PER_THREAD),
        Execution::EventLoop
        | Execution::EventLoops
        | Execution::AsyncTasks
        | Execution::GreenThreads => (0, 0, 0),
    };
    let kib = connections * (KIB_PER_CONNECTION + kib) + OTHER_KIB;
    require("KiB of available memory", kib, available_kib())?;
    if tasks > 0 {
        let tasks = connections * tasks + OTHER_TASKS;
        for file in ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"] {
            require(file, tasks, read_number(file))?;
        }
        require("tasks of its control group, pids.max", tasks, tasks_of_group())?;
        // The limit does not apply to the superuser.
        let own = getrlimit(Resource::Nproc).current.filter(|_| !geteuid().is_root());
        require("processes, see `ulimit -u`", tasks, own)?;
    }
    let file = "/proc/sys/vm/max_map_count";
    require(file, connections * mappings, read_number(file))
}

/// Fails if less than `needed` is available. An unknown amount is accepted.
fn require(what: &str, needed: u64, there: Option<u64>) -> Result<(), String> {
    match there {
        Some(there) if there < needed => {
            Err(format!("needs {needed}, and there are {there}: {what}"))
        }
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

/// Returns `pids.max` of the control group of this process (cgroups(7), version 2); `None` where
/// there is no such limit.
fn tasks_of_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    read_number(&format!("/sys/fs/cgroup{group}/pids.max"))
}
