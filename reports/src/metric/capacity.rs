//! Metrics of cells that are measured by a search: the highest rate that holds to an objective, and
//! the latency just below that rate.

use super::definition::{Bound, Drawn, Format, Metric, PLAIN};
use crate::record::Record;
use crate::statistics::lead::Better;

/// Share of the capacity at which [`P50_AT_90_PERCENT`] is measured.
const CLOSE_BELOW: f64 = 0.9;

/// Highest rate at which the server holds to the objective.
pub const CAPACITY: Metric = Metric {
    key: "capacity_rps",
    title: "Capacity",
    unit: "requests/s",
    meaning: "The highest rate, offered in an open loop, at which the server holds to the objective of the \
              workload. It lies between this rate and the lowest one above it that was measured and did not \
              hold, up to 3 % higher.",
    better: Some(Better::Higher),
    of: |record| record.search.as_ref().map(|search| search.holds_rps),
    headline: true,
    drawn: Drawn::CurvesAndBars,
    bound: Some(Bound {
        applies: |record| record.search.as_ref().is_some_and(|search| search.breaks_rps.is_none()),
        by_generator: true,
        reason: "the load generator could not send more",
    }),
    ..PLAIN
};

/// Median of the latency at nine tenths of the capacity.
pub const P50_AT_90_PERCENT: Metric = Metric {
    key: "latency_p50_at_90_percent_us",
    title: "Latency p50 at 90 % of the capacity",
    unit: "µs",
    meaning: "Median of the latency from the intended send time, in an open loop at nine tenths of the capacity.",
    format: Format::Time,
    of: |record| p50_at(record, CLOSE_BELOW),
    ..PLAIN
};

/// Returns the median latency of the step at `share` of the capacity, in microseconds.
fn p50_at(record: &Record, share: f64) -> Option<f64> {
    let steps = &record.search.as_ref()?.steps;
    let is_meant = |of: f64| (of - share).abs() < 1e-9;
    steps.iter().find(|step| step.share.is_some_and(is_meant))?.p50_us
}
