//! Metric: CPU time of the load generator per request: the share of the work that measuring itself
//! causes.

use super::definition::{Metric, PLAIN};
use super::quantities::{per_request, summary};

/// The metric. It says nothing about the server, so neither direction is better.
pub const GENERATOR_CPU: Metric = Metric {
    key: "generator_cpu_us_per_request",
    title: "Generator CPU",
    unit: "µs per request",
    meaning: "CPU time of the load generator, user mode and kernel, per completed request.",
    better: None,
    headline: true,
    of: |record| {
        let generator = summary(record)?.generator;
        per_request(record, (generator.user_s + generator.system_s) * 1e6)
    },
    ..PLAIN
};
