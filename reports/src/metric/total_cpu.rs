//! Metric: CPU time of server and generator together per request. The kernel chooses which of the
//! two is charged for a packet or a wake-up; the sum does not depend on that choice.

use super::definition::{Metric, PLAIN};
use super::{generator_cpu, server_cpu};

/// The metric.
pub const TOTAL_CPU: Metric = Metric {
    key: "total_cpu_us_per_request",
    title: "Server and generator CPU",
    unit: "µs per request",
    meaning: "CPU time of the server and of the load generator, per completed request: the kernel charges \
              the generator for waking up a server that sleeps.",
    of: |record| Some((server_cpu::TOTAL.of)(record)? + (generator_cpu::GENERATOR_CPU.of)(record)?),
    headline: true,
    ..PLAIN
};
