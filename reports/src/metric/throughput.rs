//! Metric: completed requests per second.

use c10k_loadgen::check::Effect;

use super::definition::{Bound, Drawn, Metric, PLAIN};
use super::quantities::summary;
use crate::statistics::lead::Better;

/// The metric.
pub const THROUGHPUT: Metric = Metric {
    key: "throughput_rps",
    title: "Throughput",
    unit: "requests/s",
    meaning: "Completed requests per second.",
    better: Some(Better::Higher),
    of: |record| Some(summary(record)?.throughput_rps),
    headline: true,
    drawn: Drawn::CurvesAndBars,
    bound: Some(Bound {
        applies: |record| record.has_effect(Effect::ThroughputIsABound),
        reason: "the load generator was at its limit",
    }),
    ..PLAIN
};
