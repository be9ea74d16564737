//! Quantities that metrics are computed from: the generator's summary and the probes' readings.

use c10k_loadgen::Summary;
use c10k_loadgen::summary::Percentiles;

use crate::record::{Outcome, Record};

/// The generator's summary, where the measurement ran to its end.
pub fn summary(record: &Record) -> Option<&Summary> {
    match &record.outcome {
        Outcome::Measured(summary) => Some(summary),
        Outcome::Failed(_) => None,
    }
}

/// The reading with `key`.
pub fn reading(record: &Record, key: &str) -> Option<f64> {
    record.readings.get(key).copied()
}

/// `total` divided by the completed requests; nothing where none was completed.
///
/// Failed requests cost something too, and it is charged to those that completed: that is what a
/// useful answer cost.
pub fn per_request(record: &Record, total: f64) -> Option<f64> {
    let completed = summary(record)?.requests.completed;
    (completed > 0).then(|| total / completed as f64)
}

/// `seconds` divided by the length of the measured part; nothing where it had none.
pub fn share_of_duration(record: &Record, seconds: f64) -> Option<f64> {
    let duration_s = summary(record)?.duration_s;
    (duration_s > 0.0).then(|| seconds / duration_s)
}

/// `value` of `percentiles`, where samples and failures support `quantile` (0 to 1).
pub fn percentile(percentiles: &Percentiles, quantile: f64, value: f64) -> Option<f64> {
    percentiles.supports(quantile).then_some(value)
}

/// Whether the percentile at `quantile` (0 to 1) of `times` rests on requests without an answer.
pub fn is_bound(record: &Record, times: fn(&Summary) -> &Percentiles, quantile: f64) -> bool {
    summary(record).is_some_and(|summary| times(summary).is_bound(quantile))
}

/// Why such a percentile is a bound.
pub const UNANSWERED: &str = "it rests on the ages of requests without an answer";

/// The maximum of `percentiles`, where there is a sample.
pub fn maximum(percentiles: &Percentiles) -> Option<f64> {
    (percentiles.count > 0).then_some(percentiles.max)
}
