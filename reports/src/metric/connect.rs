//! Metrics: percentiles of the time that a connection takes to be established.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{percentile, summary};

/// Fields that the percentiles share.
const PERCENTILE: Metric = Metric {
    unit: "µs",
    meaning: "Connect time runs from the client's connect to the established connection.",
    format: Format::Time,
    of_every_round: true,
    ..PLAIN
};

/// Median.
pub const P50: Metric = Metric {
    key: "connect_p50_us",
    title: "Connect p50",
    of: |record| {
        let times = &summary(record)?.connect_us;
        percentile(times, 0.5, times.p50)
    },
    ..PERCENTILE
};

/// 99th percentile.
pub const P99: Metric = Metric {
    key: "connect_p99_us",
    title: "Connect p99",
    of: |record| {
        let times = &summary(record)?.connect_us;
        percentile(times, 0.99, times.p99)
    },
    ..PERCENTILE
};
