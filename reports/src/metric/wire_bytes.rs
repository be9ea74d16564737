//! Metrics: bytes that crossed the client's sockets per request. They show if all subjects sent the
//! same response.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{per_request, summary};

/// Fields that the two metrics share. Neither direction is better, since both values follow from
/// the workload.
const BYTES: Metric =
    Metric { unit: "bytes per request", better: None, format: Format::Bytes, ..PLAIN };

/// Bytes from the server to the client.
pub const READ: Metric = Metric {
    key: "bytes_read_per_request",
    title: "Bytes from the server",
    meaning: "Bytes that the client read from its sockets per completed request, heads included.",
    of: |record| per_request(record, summary(record)?.bytes.read as f64),
    ..BYTES
};

/// Bytes from the client to the server.
pub const WRITTEN: Metric = Metric {
    key: "bytes_written_per_request",
    title: "Bytes to the server",
    meaning: "Bytes that the client wrote to its sockets per completed request, heads included.",
    of: |record| per_request(record, summary(record)?.bytes.written as f64),
    ..BYTES
};
