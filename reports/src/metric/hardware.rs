//! Metrics: instructions and processor cycles of the server per request, if the machine counts
//! them. They hardly depend on other work of the machine.

use super::definition::{Metric, PLAIN};
use super::quantities::reading;

/// Instructions, in user mode and in the kernel. A separate pass counts them over its own requests,
/// so the reading is per request already.
pub const INSTRUCTIONS: Metric = Metric {
    key: "server_instructions_per_request",
    title: "Instructions",
    unit: "per request",
    meaning: "Instructions of the server per completed request, in user mode and in the kernel.",
    of: |record| reading(record, "server_instructions_per_request"),
    ..PLAIN
};

/// Processor cycles, in user mode and in the kernel.
pub const CYCLES: Metric = Metric {
    key: "server_cycles_per_request",
    title: "Cycles",
    unit: "per request",
    meaning: "Processor cycles of the server per completed request, in user mode and in the kernel.",
    of: |record| reading(record, "server_cycles_per_request"),
    ..PLAIN
};
