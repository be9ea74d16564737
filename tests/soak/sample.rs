//! Resources that a server holds at one moment.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::processes::Process;
use crate::server::Server;

/// Number of looks in a row without a change after which a server counts as quiet.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Longest time to wait until a server is quiet; it is measured then in any case.
const PATIENCE: Duration = Duration::from_secs(5);

/// Resources of all processes of a server together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Anonymous memory in bytes: heaps and stacks. Memory that several processes share counts
    /// once. Pages of files are left out: a server's share of them depends on how many other
    /// processes have the same program open.
    pub memory: u64,
    pub open_files: u64,
    /// Threads; each process has at least one.
    pub tasks: u64,
}

impl Sample {
    /// Waits until the clients have left and the server has noticed, and measures it.
    pub fn when_quiet(server: &Server) -> Self {
        let begin = Instant::now();
        let mut same = 0;
        let mut before = Self::of(server);
        while same < LOOKS && begin.elapsed() < PATIENCE {
            thread::sleep(BETWEEN_LOOKS);
            let now = Self::of(server);
            let is_same = (now.open_files, now.tasks) == (before.open_files, before.tasks);
            same = if is_same { same + 1 } else { 0 };
            before = now;
        }
        before
    }

    fn of(server: &Server) -> Self {
        let processes = server.processes();
        let sum = |of: fn(&Process) -> u64| processes.iter().map(of).sum();
        Self {
            memory: sum(anonymous_memory),
            open_files: sum(|process| process.open_files().len() as u64),
            tasks: sum(|process| process.threads() as u64),
        }
    }
}

/// Returns `Pss_Anon` of `/proc/PID/smaps_rollup`, in bytes; 0 for a process that has ended.
fn anonymous_memory(process: &Process) -> u64 {
    let table =
        fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)).unwrap_or_default();
    let row = table.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
    let kib = row.and_then(|row| row.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
