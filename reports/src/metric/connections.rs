//! Metric: connections that never had a response.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::summary;

/// The metric.
pub const UNSERVED: Metric = Metric {
    key: "connections_unserved",
    title: "Connections without a response",
    unit: "connections",
    meaning: "Connections that the workload calls for at once and that had no response in the \
              measured part.",
    format: Format::Count,
    of: |record| {
        let connections = summary(record)?.connections;
        Some(connections.requested.saturating_sub(connections.served) as f64)
    },
    ..PLAIN
};
