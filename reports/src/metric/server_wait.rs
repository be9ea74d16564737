//! Metrics: time in which the server waited for its processors, time in which others used them, and
//! time for which a CPU quota held each side back.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{reading, share_of_duration, summary};

/// Time in which threads of the server were ready but had no processor, because another process or
/// another thread of the server had it.
pub const WAIT: Metric = Metric {
    key: "server_cpu_wait_share",
    title: "Server wait for CPU",
    meaning: "Time in which threads of the server were ready to run and had no processor, as a share of that and \
              of the time that they ran. They wait for each other, too, and for a processor to wake up.",
    unit: "of the time",
    format: Format::Share,
    of: |record| {
        let wait_s = reading(record, "server_cpu_wait_s")?;
        let ran_s = reading(record, "server_cpu_user_s")? + reading(record, "server_cpu_system_s")?;
        (wait_s + ran_s > 0.0).then(|| wait_s / (wait_s + ran_s))
    },
    ..PLAIN
};

/// Time in which other processes ran on the server's processors.
pub const NEIGHBOURS: Metric = Metric {
    key: "server_neighbours_share",
    title: "Others on the server's CPUs",
    unit: "of one CPU",
    meaning: "Time of the server's processors that others used, as a share of one processor.",
    format: Format::Share,
    of: |record| share_of_duration(record, reading(record, "server_neighbours_s")?),
    ..PLAIN
};

/// Time for which a quota held the server's cgroups back.
pub const THROTTLED: Metric = Metric {
    key: "server_throttled_s",
    title: "Server held by a CPU quota",
    unit: "s",
    meaning: "Time for which a CPU quota held back a cgroup that the server is in, over all processors.",
    of: |record| reading(record, "server_throttled_s"),
    ..PLAIN
};

/// Time for which a quota held the generator's cgroups back.
pub const GENERATOR_THROTTLED: Metric = Metric {
    key: "generator_throttled_s",
    title: "Generator held by a CPU quota",
    unit: "s",
    meaning: "Time for which a CPU quota held back a cgroup that the load generator is in, over all processors.",
    of: |record| summary(record)?.generator.throttled_s,
    ..PLAIN
};
