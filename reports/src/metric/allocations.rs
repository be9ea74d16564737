//! Metric: how often the server asks its allocator for memory, per request.

use super::definition::{Metric, PLAIN};
use super::quantities::reading;

/// The metric. Its pass counts over requests of its own.
pub const ALLOCATIONS: Metric = Metric {
    key: "server_allocations_per_request",
    title: "Allocations",
    unit: "per request",
    meaning: "Calls of the server's allocator that ask for memory, per completed request.",
    of: |record| reading(record, "server_allocations_per_request"),
    ..PLAIN
};
