//! Metrics: CPU time that the machine spent on other work, which is noise for the measurement.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{reading, share_of_duration};

/// Fields that the three metrics share. Values are seconds of CPU time per second, so two busy
/// processors are 200 %.
const NOISE: Metric = Metric { unit: "of one CPU", format: Format::Share, ..PLAIN };

/// CPU time in which the hypervisor ran another machine.
pub const STEAL: Metric = Metric {
    key: "machine_steal_share",
    title: "Stolen CPU",
    meaning: "CPU time that the hypervisor gave to other machines, as a share of one processor.",
    of: |record| share_of_duration(record, reading(record, "machine_steal_s")?),
    ..NOISE
};

/// CPU time in which other processes ran.
pub const OTHER: Metric = Metric {
    key: "machine_other_share",
    title: "Other CPU",
    meaning: "CPU time of processes that are neither the server nor the load generator, as a share of \
              one processor.",
    of: |record| share_of_duration(record, reading(record, "machine_other_s")?),
    ..NOISE
};

/// CPU time in which the kernel handled interrupts; packets on loopback are received in interrupts.
pub const INTERRUPTS: Metric = Metric {
    key: "machine_interrupts_share",
    title: "Interrupt CPU",
    meaning: "CPU time of interrupts, as a share of one processor. Depending on the kernel, it is part of \
              the other CPU time.",
    better: None,
    of: |record| share_of_duration(record, reading(record, "machine_interrupts_s")?),
    ..NOISE
};
