//! Metrics: latency of the cheap requests of a mix (`/mixed`). A cheap request waits only for other
//! requests, so its tail shows which requests a model lets delay it.

use c10k_loadgen::summary::Percentiles;

use super::definition::{Format, Metric, PLAIN};
use super::quantities::{percentile, summary};
use crate::record::Record;

/// Fields that the percentiles share.
const PERCENTILE: Metric = Metric {
    unit: "µs",
    meaning: "Of requests that their responses name `cheap` in the field `Server-Timing`, such as \
              requests for `/mixed` that neither wait nor compute. Requests without a response say \
              nothing.",
    format: Format::Time,
    of_every_round: true,
    marked: false,
    ..PLAIN
};

/// Median.
pub const P50: Metric = Metric {
    key: "latency_cheap_p50_us",
    title: "Latency of cheap requests, p50",
    of: |record| {
        let times = times(record)?;
        percentile(times, 0.5, times.p50)
    },
    ..PERCENTILE
};

/// 99th percentile.
pub const P99: Metric = Metric {
    key: "latency_cheap_p99_us",
    title: "Latency of cheap requests, p99",
    of: |record| {
        let times = times(record)?;
        percentile(times, 0.99, times.p99)
    },
    ..PERCENTILE
};

fn times(record: &Record) -> Option<&Percentiles> {
    summary(record)?.latency_us_by_kind.get("cheap")
}
