//! Metric: processes and threads of the server.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::reading;

/// The metric. Neither many nor few are better: they are what a model is.
pub const TASKS: Metric = Metric {
    key: "tasks",
    title: "Tasks",
    unit: "processes and threads",
    meaning: "Processes and threads of the server at the end of the measured part.",
    better: None,
    format: Format::Count,
    of: |record| reading(record, "tasks"),
    ..PLAIN
};
