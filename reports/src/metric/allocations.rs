//! Metric: calls of the server's allocator that ask for memory, per request.

use super::definition::{Metric, PLAIN};
use super::quantities::reading;

/// The metric. A separate pass counts the calls over its own requests, so the reading is per
/// request already.
pub const ALLOCATIONS: Metric = Metric {
    key: "server_allocations_per_request",
    title: "Allocations",
    unit: "per request",
    meaning: "Calls of the server's allocator that ask for memory, per completed request.",
    of: |record| reading(record, "server_allocations_per_request"),
    ..PLAIN
};
