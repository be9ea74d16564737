//! Metrics: percentiles of the response, which is the part of latency that the server and the path
//! to it are responsible for. Pages compare these percentiles.

use c10k_loadgen::Summary;
use c10k_loadgen::summary::Percentiles;

use super::definition::{Bound, Format, Metric, PLAIN};
use super::quantities::{UNANSWERED, is_bound, maximum, percentile, summary};

/// Fields that the percentiles share.
const PERCENTILE: Metric = Metric {
    unit: "µs",
    meaning: "The response is the latency without the wait before the connect, which is the load generator's \
              own queue. On an open connection, it equals the latency.",
    format: Format::Time,
    of_every_round: true,
    ..PLAIN
};

/// Median.
pub const P50: Metric = Metric {
    key: "response_p50_us",
    title: "Response p50",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.5, times.p50)
    },
    headline: true,
    bound: Some(Bound {
        applies: |record| is_bound(record, times, 0.5),
        by_generator: false,
        reason: UNANSWERED,
    }),
    ..PERCENTILE
};

/// 90th percentile.
pub const P90: Metric = Metric {
    key: "response_p90_us",
    title: "Response p90",
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
    key: "response_p99_us",
    title: "Response p99",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.99, times.p99)
    },
    headline: true,
    bound: Some(Bound {
        applies: |record| is_bound(record, times, 0.99),
        by_generator: false,
        reason: UNANSWERED,
    }),
    ..PERCENTILE
};

/// 99.9th percentile.
pub const P999: Metric = Metric {
    key: "response_p999_us",
    title: "Response p99.9",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.999, times.p99_9)
    },
    headline: true,
    bound: Some(Bound {
        applies: |record| is_bound(record, times, 0.999),
        by_generator: false,
        reason: UNANSWERED,
    }),
    ..PERCENTILE
};

/// Maximum.
pub const MAX: Metric = Metric {
    key: "response_max_us",
    title: "Response max",
    of: |record| maximum(times(summary(record)?)),
    bound: Some(Bound {
        applies: |record| is_bound(record, times, 1.0),
        by_generator: false,
        reason: UNANSWERED,
    }),
    ..PERCENTILE
};

/// Returns the distribution of the response. Records written before the connect wait was measured
/// separately have none; for them it returns the latency, which includes that wait.
fn times(summary: &Summary) -> &Percentiles {
    match summary.response_us.count {
        0 => &summary.latency_us,
        _ => &summary.response_us,
    }
}
