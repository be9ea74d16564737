//! Metrics: CPU time of the server per request. A noisy machine disturbs this measure least, since
//! waiting costs no CPU time.

use super::definition::{Drawn, Metric, PLAIN};
use super::quantities::{per_request, reading, summary};
use crate::record::Record;

/// Fields that the three CPU times share.
const CPU_TIME: Metric = Metric { unit: "µs per request", ..PLAIN };

/// CPU time in user mode and in the kernel together.
pub const TOTAL: Metric = Metric {
    key: "server_cpu_us_per_request",
    title: "Server CPU",
    meaning: "CPU time of the server, user mode and kernel, per completed request.",
    of: |record| us_per_request(record, reading(record, USER)? + reading(record, SYSTEM)?),
    headline: true,
    drawn: Drawn::CurvesAndBars,
    ..CPU_TIME
};

/// CPU time in user mode alone.
pub const IN_USER_MODE: Metric = Metric {
    key: "server_cpu_user_us_per_request",
    title: "Server CPU in user mode",
    meaning: "CPU time of the server in user mode, per completed request.",
    of: |record| us_per_request(record, reading(record, USER)?),
    ..CPU_TIME
};

/// CPU time in the kernel alone.
pub const IN_KERNEL: Metric = Metric {
    key: "server_cpu_system_us_per_request",
    title: "Server CPU in the kernel",
    meaning: "CPU time of the server in the kernel, per completed request.",
    of: |record| us_per_request(record, reading(record, SYSTEM)?),
    ..CPU_TIME
};

/// Processors that the server keeps busy at an offered rate that is the same for all subjects.
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

/// Key of the reading of CPU time in user mode, in seconds.
const USER: &str = "server_cpu_user_s";

/// Key of the reading of CPU time in the kernel, in seconds.
const SYSTEM: &str = "server_cpu_system_s";

/// Key of the reading of the time from the beginning of the measured part to the first look at the
/// server, in seconds. The server worked in that time, but its CPU time was not counted. Runs
/// written before this reading existed do not have it.
const LATE: &str = "server_cpu_late_s";

fn us_per_request(record: &Record, seconds: f64) -> Option<f64> {
    per_request(record, seconds * 1e6 / watched_share(record)?)
}

/// Returns the share of the measured part in which CPU time was counted; `None` if it is half or
/// less.
fn watched_share(record: &Record) -> Option<f64> {
    let late_s = reading(record, LATE).unwrap_or(0.0);
    let share = 1.0 - late_s / summary(record)?.duration_s;
    (share > 0.5).then_some(share)
}
