//! Metrics: percentiles of the time to the first byte of a response.

use c10k_loadgen::Summary;
use c10k_loadgen::summary::Percentiles;

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{percentile, summary};

/// Fields that the percentiles share.
const PERCENTILE: Metric = Metric {
    unit: "µs",
    meaning: "The first byte time runs from the actual send of a request to the first byte of its response.",
    format: Format::Time,
    of_every_round: true,
    ..PLAIN
};

/// Median.
pub const P50: Metric = Metric {
    key: "first_byte_p50_us",
    title: "First byte p50",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.5, times.p50)
    },
    ..PERCENTILE
};

/// 99th percentile.
pub const P99: Metric = Metric {
    key: "first_byte_p99_us",
    title: "First byte p99",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.99, times.p99)
    },
    ..PERCENTILE
};

/// Returns the distribution of the time to the first byte.
fn times(summary: &Summary) -> &Percentiles {
    &summary.first_byte_us
}
