//! What a server holds at one moment.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::processes::Process;
use crate::server::Server;

/// A server is taken to be quiet when nothing has changed for so many looks in a row.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// It is measured then even if it is not.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of all its processes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Anonymous memory in octets: heaps and stacks. Memory that several processes share counts once. Without pages of files,
    /// of which a server's share depends on how many others have the same program open.
    pub memory: u64,
    pub open_files: u64,
    /// Threads; those that processes have at least one of.
    pub tasks: u64,
}

impl Sample {
    /// Measures when the clients have left and the server has noticed.
    pub fn when_quiet(server: &Server) -> Self {
        let (begin, mut same) = (Instant::now(), 0);
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

/// `Pss_Anon` of `/proc/PID/smaps_rollup`, in octets; nothing of a process that has ended.
fn anonymous_memory(process: &Process) -> u64 {
    let table = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)).unwrap_or_default();
    let row = table.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
    let kib = row.and_then(|row| row.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
