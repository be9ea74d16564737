//! Metric: system calls of the server per request.

use super::definition::{Metric, PLAIN};
use super::quantities::{reading, summary};

/// The metric. A separate pass counts the calls over its own requests, because counting slows the
/// server down; so the reading is per request already.
pub const SYSTEM_CALLS: Metric = Metric {
    key: "system_calls_per_request",
    title: "System calls",
    unit: "per request",
    meaning: "System calls of the server per completed request.",
    of: |record| {
        let completed = summary(record)?.requests.completed;
        reading(record, "system_calls_per_request").filter(|_| completed > 0)
    },
    ..PLAIN
};
