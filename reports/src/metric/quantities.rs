//! Quantities that metrics are computed from: the generator's summary and the probes' readings.

use c10k_loadgen::Summary;
use c10k_loadgen::summary::Percentiles;

use crate::record::{Outcome, Record};

/// Returns the generator's summary; `None` if the measurement failed.
pub fn summary(record: &Record) -> Option<&Summary> {
    match &record.outcome {
        Outcome::Measured(summary) => Some(summary),
        Outcome::Failed(_) => None,
    }
}

/// Returns the reading with `key`, if the record has one.
pub fn reading(record: &Record, key: &str) -> Option<f64> {
    record.readings.get(key).copied()
}

/// Divides `total` by the number of completed requests; `None` if no request completed.
///
/// Failed requests cost something too. Their cost is charged to the completed requests, so the
/// result is the cost of a useful response.
pub fn per_request(record: &Record, total: f64) -> Option<f64> {
    let completed = summary(record)?.requests.completed;
    (completed > 0).then(|| total / completed as f64)
}

/// Divides `seconds` by the length of the measured part; `None` if that length is zero.
pub fn share_of_duration(record: &Record, seconds: f64) -> Option<f64> {
    let duration_s = summary(record)?.duration_s;
    (duration_s > 0.0).then(|| seconds / duration_s)
}

/// Returns `value` if the samples and failures of `percentiles` support `quantile` (0 to 1).
pub fn percentile(percentiles: &Percentiles, quantile: f64, value: f64) -> Option<f64> {
    percentiles.supports(quantile).then_some(value)
}

/// Returns true if the percentile at `quantile` (0 to 1) of `times` rests on requests without a
/// response.
pub fn is_bound(record: &Record, times: fn(&Summary) -> &Percentiles, quantile: f64) -> bool {
    summary(record).is_some_and(|summary| times(summary).is_bound(quantile))
}

/// Reason why a percentile that rests on requests without a response is a lower bound.
pub const UNANSWERED: &str = "it rests on the ages of requests without a response";

/// Returns the maximum of `percentiles`; `None` if there is no sample.
pub fn maximum(percentiles: &Percentiles) -> Option<f64> {
    (percentiles.count > 0).then_some(percentiles.max)
}
