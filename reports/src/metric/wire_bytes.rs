//! Metrics: bytes that crossed the client's sockets per request. They tell whether all subjects
//! sent the same answer.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{per_request, summary};

/// Fields that the two share. Neither many nor few are better: both follow from the workload.
const BYTES: Metric = Metric { unit: "bytes per request", better: None, format: Format::Bytes, ..PLAIN };

/// From the server.
pub const READ: Metric = Metric {
    key: "bytes_read_per_request",
    title: "Bytes from the server",
    meaning: "Bytes that the client read from its sockets per completed request, heads included.",
    of: |record| per_request(record, summary(record)?.bytes.read as f64),
    ..BYTES
};

/// To the server.
pub const WRITTEN: Metric = Metric {
    key: "bytes_written_per_request",
    title: "Bytes to the server",
    meaning: "Bytes that the client wrote to its sockets per completed request, heads included.",
    of: |record| per_request(record, summary(record)?.bytes.written as f64),
    ..BYTES
};
