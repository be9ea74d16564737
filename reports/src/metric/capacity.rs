//! Metric: the highest rate that holds an objective, of cells that are measured by a search.

use super::definition::{Bound, Drawn, Metric, PLAIN};
use crate::statistics::lead::Better;

/// The metric.
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
