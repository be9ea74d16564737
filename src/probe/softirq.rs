//! `softirq`: time that the processors of the server spent in soft interrupts, in which the
//! kernel receives packets.
//!
//! If the kernel counts ticks, this time is charged to the interrupted task as well. It is then no
//! further cost, but shows which part of the server's time is for the network. A kernel thread that
//! takes over is charged to no process, see `ksoftirqd`. If the server is not pinned, the generator
//! runs on the same processors.

use std::fs;

use anyhow::{Context, Result};
use procfs::ticks_per_second;

use super::definition::{Probe, Read, Values};
use super::tree::Tree;
use crate::cpus::CpuList;

pub(super) const PROBE: Probe = Probe { name: "softirq", read: Read::Growth(read) };

/// Field of the soft interrupts in a processor's line of `/proc/stat`, where field 0 is its name.
const SOFTIRQ: usize = 7;

fn read(tree: &Tree) -> Result<Values> {
    let cpus = tree.cpus()?;
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let ticks = softirq_ticks(&stat, &cpus)?;
    Ok(vec![("server_softirq_s", ticks as f64 / ticks_per_second() as f64)])
}

/// Returns the ticks that `cpus` spent in soft interrupts. The lines are found by their names,
/// because a processor that is switched off has none. `procfs` returns the lines without names.
fn softirq_ticks(stat: &str, cpus: &CpuList) -> Result<u64> {
    let mut ticks = 0;
    for &cpu in cpus.numbers() {
        let name = format!("cpu{cpu} ");
        let line = stat.lines().find(|line| line.starts_with(&name));
        let value = line.and_then(|line| line.split(' ').nth(SOFTIRQ)?.parse::<u64>().ok());
        let unknown =
            || format!("/proc/stat does not report the soft interrupts of processor {cpu}");
        ticks += value.with_context(unknown)?;
    }
    Ok(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_servers_processors_counts() {
        let stat = "cpu  1 1 1 1 1 1 100 1 1 1\ncpu0 1 1 1 1 1 1 10 1 1 1\ncpu2 1 1 1 1 1 1 20 1 1 1\n\
                    cpu10 1 1 1 1 1 1 70 1 1 1\n";
        let ticks = |cpus: &str| softirq_ticks(stat, &cpus.parse().unwrap());
        assert_eq!(ticks("2").unwrap(), 20);
        assert_eq!(ticks("0,10").unwrap(), 80);
        let error = ticks("1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/proc/stat does not report the soft interrupts of processor 1"
        );
    }
}
