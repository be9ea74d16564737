//! Metrics: percentiles of latency, as seen by a client that keeps its schedule. On short
//! connections a part of the latency is the generator's own queue, so pages compare the response
//! instead.

use c10k_loadgen::Summary;
use c10k_loadgen::summary::Percentiles;

use super::definition::{Bound, Format, Metric, PLAIN};
use super::quantities::{UNANSWERED, is_bound, maximum, percentile, summary};

/// Fields that the percentiles share.
const PERCENTILE: Metric = Metric {
    unit: "µs",
    meaning: "Latency runs from the intended send of a request to the last byte of its response. On short \
              connections the wait before the connect is in it.",
    format: Format::Time,
    of_every_round: true,
    marked: false,
    ..PLAIN
};

/// Median.
pub const P50: Metric = Metric {
    key: "latency_p50_us",
    title: "Latency p50",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.5, times.p50)
    },
    bound: Some(Bound {
        applies: |record| is_bound(record, times, 0.5),
        by_generator: false,
        reason: UNANSWERED,
    }),
    ..PERCENTILE
};

/// 90th percentile.
pub const P90: Metric = Metric {
    key: "latency_p90_us",
    title: "Latency p90",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.9, times.p90)
    },
    bound: Some(Bound {
        applies: |record| is_bound(record, times, 0.9),
        by_generator: false,
        reason: UNANSWERED,
    }),
    ..PERCENTILE
};

/// 99th percentile.
pub const P99: Metric = Metric {
    key: "latency_p99_us",
    title: "Latency p99",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.99, times.p99)
    },
    bound: Some(Bound {
        applies: |record| is_bound(record, times, 0.99),
        by_generator: false,
        reason: UNANSWERED,
    }),
    ..PERCENTILE
};

/// 99.9th percentile.
pub const P999: Metric = Metric {
    key: "latency_p999_us",
    title: "Latency p99.9",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.999, times.p99_9)
    },
    bound: Some(Bound {
        applies: |record| is_bound(record, times, 0.999),
        by_generator: false,
        reason: UNANSWERED,
    }),
    ..PERCENTILE
};

/// Maximum.
pub const MAX: Metric = Metric {
    key: "latency_max_us",
    title: "Latency max",
    of: |record| maximum(times(summary(record)?)),
    bound: Some(Bound {
        applies: |record| is_bound(record, times, 1.0),
        by_generator: false,
        reason: UNANSWERED,
    }),
    ..PERCENTILE
};

/// Returns the distribution of latency.
fn times(summary: &Summary) -> &Percentiles {
    &summary.latency_us
}
