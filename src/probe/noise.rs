//! `noise`: work that the machine did beside the measurement.
//!
//! All work that is neither the server's nor this process's (the generator runs in this process)
//! took processors or caches away from one of them. `/proc/stat` counts in ticks of 10 ms, which is
//! fine enough here.
//!
//! Packets of loopback are received in interrupts. With tick accounting, Linux counts the time of
//! interrupts as time of the interrupted task as well; with `CONFIG_IRQ_TIME_ACCOUNTING` it does
//! not. In the second case the server's own packets are in `machine_other_s`; subtract
//! `machine_interrupts_s` to be sure of noise.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use procfs::{CpuTime, CurrentSI, KernelStats, ticks_per_second};

use super::cpu;
use super::definition::{Probe, Read, Values};
use super::tree::Tree;

pub(super) const PROBE: Probe = Probe { name: "noise", read: Read::Growth(read) };

fn read(tree: &Tree) -> Result<Values> {
    let machine = KernelStats::current().context("cannot read /proc/stat")?.total;
    let own_s = Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?).as_secs_f64();
    let interrupts =
        interrupts(&machine).context("this kernel does not report the time of interrupts")?;
    // The time of virtual machines that run here is already in `user` and `nice`.
    let busy = machine.user + machine.nice + machine.system + interrupts;
    Ok(vec![
        (
            "machine_steal_s",
            seconds(machine.steal.context("this kernel does not report stolen time")?),
        ),
        ("machine_interrupts_s", seconds(interrupts)),
        ("machine_other_s", seconds(busy) - cpu::total_s(tree)? - own_s),
    ])
}

fn interrupts(machine: &CpuTime) -> Option<u64> {
    Some(machine.irq? + machine.softirq?)
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / ticks_per_second() as f64
}
