//! Metrics: percentiles of the wait before the connect, which is the load generator's own queue on
//! short connections.

use c10k_loadgen::Summary;
use c10k_loadgen::summary::Percentiles;

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{percentile, summary};

/// Fields that the percentiles share.
const PERCENTILE: Metric = Metric {
    unit: "µs",
    meaning: "The connect wait runs from the time at which a request needed only a connection to \
              the connect that was made for it. The load generator causes it.",
    format: Format::Time,
    of_every_round: true,
    better: None,
    ..PLAIN
};

/// Median.
pub const P50: Metric = Metric {
    key: "connect_wait_p50_us",
    title: "Connect wait p50",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.5, times.p50)
    },
    ..PERCENTILE
};

/// 99th percentile.
pub const P99: Metric = Metric {
    key: "connect_wait_p99_us",
    title: "Connect wait p99",
    of: |record| {
        let times = times(summary(record)?);
        percentile(times, 0.99, times.p99)
    },
    ..PERCENTILE
};

/// Returns the distribution of the connect wait.
fn times(summary: &Summary) -> &Percentiles {
    &summary.connect_wait_us
}
