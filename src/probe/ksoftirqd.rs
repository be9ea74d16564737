//! `ksoftirqd`: CPU time of the kernel threads that receive packets on the processors of the
//! server. They do so when there are too many packets for the interrupted tasks.
//!
//! This is work for the server that no process is charged for. In a container these threads can't
//! be seen.

use std::collections::HashMap;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use procfs::ProcResult;
use procfs::process::Process;

use super::definition::{Probe, Read, Values};
use super::tree::{Tree, cpu_clock, unless_gone};

pub(super) const PROBE: Probe = Probe { name: "ksoftirqd", read: Read::Growth(read) };

/// ID of the process that all kernel threads are children of.
const KERNEL_THREADS: i32 = 2;

/// Process IDs by processor. They stay for as long as the processor does, and finding them takes a
/// millisecond.
static THREADS: OnceLock<HashMap<usize, i32>> = OnceLock::new();

fn read(tree: &Tree) -> Result<Values> {
    let threads = THREADS.get_or_init(|| find().unwrap_or_default());
    let mut sum_s = 0.0;
    for cpu in tree.cpus()?.numbers() {
        let clock = threads.get(cpu).and_then(|pid| cpu_clock(*pid));
        let unseen = || format!("the kernel thread ksoftirqd/{cpu} can't be seen from here");
        sum_s += clock.with_context(unseen)?.as_secs_f64();
    }
    Ok(vec![("server_ksoftirqd_s", sum_s)])
}

fn find() -> ProcResult<HashMap<usize, i32>> {
    let mut threads = HashMap::new();
    for pid in Process::new(KERNEL_THREADS)?.task_main_thread()?.children()? {
        let pid = pid.cast_signed();
        let stat = unless_gone(Process::new(pid).and_then(|process| process.stat()))?;
        let cpu = stat.and_then(|stat| stat.comm.strip_prefix("ksoftirqd/")?.parse().ok());
        threads.extend(cpu.map(|cpu| (cpu, pid)));
    }
    Ok(threads)
}

#[cfg(test)]
mod tests {
    use super::super::Watch;
    use super::super::fixture::Shell;

    #[test]
    fn the_threads_are_read_where_they_can_be_seen() {
        let shell = Shell::start("echo; read line");
        let readings = Watch::begin(shell.pid()).end();
        match readings.missing.get("ksoftirqd") {
            None => assert!(readings.values["server_ksoftirqd_s"] >= 0.0),
            Some(reason) => assert!(reason.ends_with("can't be seen from here"), "{reason}"),
        }
    }
}
