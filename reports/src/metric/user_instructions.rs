//! Metric: instructions of the server per request in user mode. They do not depend on other work of
//! the machine, so a gate sees changes in them that times do not show.

use super::definition::{Metric, PLAIN};
use super::quantities::reading;

/// The metric. A separate pass counts the instructions over its own requests, so the reading is per
/// request already.
pub const USER_INSTRUCTIONS: Metric = Metric {
    key: "server_user_instructions_per_request",
    title: "User instructions",
    unit: "per request",
    meaning: "Instructions of the server per completed request, in user mode only.",
    of: |record| reading(record, "server_user_instructions_per_request"),
    ..PLAIN
};
