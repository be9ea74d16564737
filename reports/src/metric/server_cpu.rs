//! Metrics: CPU time of the server per request, the measure that survives a noisy machine best,
//! since waiting costs nothing.

use super::definition::{Drawn, Metric, PLAIN};
use super::quantities::{per_request, reading, summary};
use crate::record::Record;

/// Fields that the three share.
const CPU_TIME: Metric = Metric { unit: "µs per request", ..PLAIN };

/// User mode and kernel together.
pub const TOTAL: Metric = Metric {
    key: "server_cpu_us_per_request",
    title: "Server CPU",
    meaning: "CPU time of the server, user mode and kernel, per completed request.",
    of: |record| us_per_request(record, reading(record, USER)? + reading(record, SYSTEM)?),
    headline: true,
    drawn: Drawn::CurvesAndBars,
    ..CPU_TIME
};

/// User mode alone.
pub const IN_USER_MODE: Metric = Metric {
    key: "server_cpu_user_us_per_request",
    title: "Server CPU in user mode",
    meaning: "CPU time of the server in user mode, per completed request.",
    of: |record| us_per_request(record, reading(record, USER)?),
    ..CPU_TIME
};

/// Kernel alone.
pub const IN_KERNEL: Metric = Metric {
    key: "server_cpu_system_us_per_request",
    title: "Server CPU in the kernel",
    meaning: "CPU time of the server in the kernel, per completed request.",
    of: |record| us_per_request(record, reading(record, SYSTEM)?),
    ..CPU_TIME
};

/// Processors that it keeps busy at a rate that is the same for all.
pub const PROCESSORS: Metric = Metric {
    key: "server_processors",
    title: "Processors in use",
    unit: "processors",
    meaning: "CPU time of the server per second, of open loops: how much of the machine it takes at that \
              rate, busy or waiting. A closed loop has no rate of its own.",
    of: |record| {
        let summary = summary(record)?;
        summary.offered_rps?;
        let seconds = reading(record, USER)? + reading(record, SYSTEM)?;
        Some(seconds / watched_share(record)? / summary.duration_s)
    },
    drawn: Drawn::CurvesAndBars,
    ..PLAIN
};

/// Reading: CPU time in user mode, in seconds.
const USER: &str = "server_cpu_user_s";

/// Reading: CPU time in the kernel, in seconds.
const SYSTEM: &str = "server_cpu_system_s";

/// Reading: time from the begin of the measured part to the first look at the server, in seconds;
/// absent in runs of before it was read. The server worked in it, and its CPU time was not counted.
const LATE: &str = "server_cpu_late_s";

fn us_per_request(record: &Record, seconds: f64) -> Option<f64> {
    per_request(record, seconds * 1e6 / watched_share(record)?)
}

/// Share of the measured part in which CPU time was counted; nothing where it was not half of it.
fn watched_share(record: &Record) -> Option<f64> {
    let late_s = reading(record, LATE).unwrap_or(0.0);
    let share = 1.0 - late_s / summary(record)?.duration_s;
    (share > 0.5).then_some(share)
}
