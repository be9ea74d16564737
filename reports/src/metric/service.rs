//! Metrics: percentiles of service time, which leaves out the time that a request waited for a free
//! connection.

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{maximum, percentile, summary};

/// Fields that the percentiles share.
const PERCENTILE: Metric = Metric {
    unit: "µs",
    meaning: "Service time runs from the actual send of a request to the last byte of its response.",
    format: Format::Time,
    of_every_round: true,
    ..PLAIN
};

/// Median.
pub const P50: Metric = Metric {
    key: "service_p50_us",
    title: "Service time p50",
    of: |record| {
        let times = &summary(record)?.service_us;
        percentile(times, 0.5, times.p50)
    },
    ..PERCENTILE
};

/// 90th percentile.
pub const P90: Metric = Metric {
    key: "service_p90_us",
    title: "Service time p90",
    of: |record| {
        let times = &summary(record)?.service_us;
        percentile(times, 0.9, times.p90)
    },
    ..PERCENTILE
};

/// 99th percentile.
pub const P99: Metric = Metric {
    key: "service_p99_us",
    title: "Service time p99",
    of: |record| {
        let times = &summary(record)?.service_us;
        percentile(times, 0.99, times.p99)
    },
    ..PERCENTILE
};

/// 99.9th percentile.
pub const P999: Metric = Metric {
    key: "service_p999_us",
    title: "Service time p99.9",
    of: |record| {
        let times = &summary(record)?.service_us;
        percentile(times, 0.999, times.p99_9)
    },
    ..PERCENTILE
};

/// Maximum.
pub const MAX: Metric = Metric {
    key: "service_max_us",
    title: "Service time max",
    of: |record| maximum(&summary(record)?.service_us),
    ..PERCENTILE
};
