//! Metrics: percentiles of latency, which a client that keeps its schedule sees.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{maximum, percentile, summary};

/// Fields that the percentiles share.
const PERCENTILE: Metric = Metric {
    unit: "µs",
    meaning: "Latency runs from the intended send of a request to the last byte of its answer.",
    format: Format::Time,
    ..PLAIN
};

/// Median.
pub const P50: Metric = Metric {
    key: "latency_p50_us",
    title: "Latency p50",
    of: |record| {
        let times = &summary(record)?.latency_us;
        percentile(times, 0.5, times.p50)
    },
    headline: true,
    ..PERCENTILE
};

/// 90th percentile.
pub const P90: Metric = Metric {
    key: "latency_p90_us",
    title: "Latency p90",
    of: |record| {
        let times = &summary(record)?.latency_us;
        percentile(times, 0.9, times.p90)
    },
    ..PERCENTILE
};

/// 99th percentile.
pub const P99: Metric = Metric {
    key: "latency_p99_us",
    title: "Latency p99",
    of: |record| {
        let times = &summary(record)?.latency_us;
        percentile(times, 0.99, times.p99)
    },
    headline: true,
    ..PERCENTILE
};

/// 99.9th percentile.
pub const P999: Metric = Metric {
    key: "latency_p999_us",
    title: "Latency p99.9",
    of: |record| {
        let times = &summary(record)?.latency_us;
        percentile(times, 0.999, times.p99_9)
    },
    headline: true,
    ..PERCENTILE
};

/// Maximum.
pub const MAX: Metric = Metric {
    key: "latency_max_us",
    title: "Latency max",
    of: |record| maximum(&summary(record)?.latency_us),
    ..PERCENTILE
};
