//! Metric: instructions of the server per request in user mode. They do not depend on what else the
//! machine does, so that a gate sees changes in them that time hides.

use super::definition::{Metric, PLAIN};
use super::quantities::reading;

/// The metric. Its pass counts over requests of its own.
pub const USER_INSTRUCTIONS: Metric = Metric {
    key: "server_user_instructions_per_request",
    title: "User instructions",
    unit: "per request",
    meaning: "Instructions of the server per completed request, in user mode only.",
    of: |record| reading(record, "server_user_instructions_per_request"),
    ..PLAIN
};
