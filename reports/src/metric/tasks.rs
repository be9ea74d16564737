//! Metric: processes and threads of the server.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::reading;

/// The metric. Neither direction is better: the number of tasks is a property of the model.
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
