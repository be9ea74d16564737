//! Metric: page faults of the server per request.

use super::definition::{Metric, PLAIN};
use super::quantities::{per_request, reading};

/// The metric.
pub const PAGE_FAULTS: Metric = Metric {
    key: "page_faults_per_request",
    title: "Page faults",
    unit: "per request",
    meaning: "Page faults of the server, minor and major, per completed request.",
    of: |record| {
        let minor = reading(record, "page_faults_minor")?;
        per_request(record, minor + reading(record, "page_faults_major")?)
    },
    ..PLAIN
};
