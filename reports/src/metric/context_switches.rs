//! Metrics: context switches of the server per request.

use super::definition::{Metric, PLAIN};
use super::quantities::{per_request, reading};

/// Fields that the three metrics share.
const SWITCHES: Metric = Metric { unit: "per request", ..PLAIN };

/// Voluntary and involuntary context switches together.
pub const ALL: Metric = Metric {
    key: "context_switches_per_request",
    title: "Context switches",
    meaning: "Context switches of the server per completed request.",
    of: |record| per_request(record, reading(record, VOLUNTARY)? + reading(record, INVOLUNTARY)?),
    ..SWITCHES
};

/// Voluntary context switches: a thread had to wait.
pub const BY_WAITING: Metric = Metric {
    key: "context_switches_voluntary_per_request",
    title: "Voluntary context switches",
    meaning: "Context switches per completed request because a thread of the server had to wait.",
    of: |record| per_request(record, reading(record, VOLUNTARY)?),
    ..SWITCHES
};

/// Involuntary context switches: the kernel gave the processor to another thread.
pub const BY_PREEMPTION: Metric = Metric {
    key: "context_switches_involuntary_per_request",
    title: "Involuntary context switches",
    meaning: "Context switches per completed request because the kernel ran another thread instead.",
    of: |record| per_request(record, reading(record, INVOLUNTARY)?),
    ..SWITCHES
};

/// Key of the reading of voluntary context switches.
const VOLUNTARY: &str = "context_switches_voluntary";

/// Key of the reading of involuntary context switches.
const INVOLUNTARY: &str = "context_switches_involuntary";
