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
        by_generator: true,
        reason: "the load generator was at its limit",
    }),
    ..PLAIN
};

/// Throughput of all slices of a block together. Only gates have slices, so [`Metric::of`] returns
/// no value.
pub const OF_ALL_SLICES: Metric = Metric {
    key: "throughput_of_all_slices_rps",
    title: "Throughput, pauses included",
    unit: "requests/s",
    meaning: "Mean of the throughput of all slices of a server in a block. A pause that hits a few slices \
              changes this mean, but not the middle of the slices.",
    of: |_| None,
    better: Some(Better::Higher),
    ..PLAIN
};
