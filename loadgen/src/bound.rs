//! Percentiles that are lower bounds, because they rest on requests that never ended.
//!
//! A request that timed out, or had no response at the end, counts in the latencies with its age:
//! the least that its latency can be. Such values are censored from the right, and the
//! product-limit estimate is the distribution that follows from them (Kaplan and Meier 1958,
//! "Nonparametric estimation from incomplete observations"): each censored value passes its share
//! on to the values above it (Efron 1967, "The two sample problem with censored data"). A
//! percentile is a bound in two cases: the estimate does not exist, because no answered request
//! took that long, or the estimate is above the shown value by more than `TOLERANCE`.
//!
//! Rejected: to call every percentile at or above a censored value a bound. A closed loop always
//! ends with a request in flight on each connection, most of them as young as any other. A few
//! ranks in a million would then make every percentile of every run a bound.

use serde::{Deserialize, Serialize};

use crate::measurement::Times;

/// Relative distance by which a percentile may be below its estimate before it is called a bound:
/// half of the smallest difference that checks and reports count as one.
const TOLERANCE: f64 = 0.05;

/// Percentiles that are reported, with their quantiles.
pub const TOLD: [(&str, f64); 7] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("max", 1.0),
];

/// Percentiles of a distribution that are lower bounds: one percentile and all above it, or none.
/// In JSON, a list of their names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", from = "Vec<String>")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(with = "Vec<String>"))]
pub struct LowerBounds {
    /// Lowest quantile that is a bound.
    from: Option<f64>,
}

impl LowerBounds {
    /// Finds the bounds among the percentiles of latencies, some of which are the ages of requests
    /// without a response.
    pub fn of(latency: &Times, unanswered: &Times) -> Self {
        if latency.is_empty() || unanswered.is_empty() {
            return Self::default();
        }
        let survival = survival(latency, unanswered);
        let is_bound = |quantile: f64| {
            let most = latency.value_at_quantile(quantile) as f64 * (1.0 + TOLERANCE);
            estimate(&survival, quantile).is_none_or(|value| value as f64 > most)
        };
        Self {
            from: TOLD
                .into_iter()
                .map(|(_, quantile)| quantile)
                .find(|&quantile| is_bound(quantile)),
        }
    }

    /// Returns true if no percentile is a bound.
    pub fn is_empty(&self) -> bool {
        self.from.is_none()
    }

    /// Returns true if the percentile at `quantile` (0 to 1, which is the maximum) is a lower
    /// bound.
    pub fn contains(&self, quantile: f64) -> bool {
        self.from.is_some_and(|from| quantile >= from)
    }
}

impl From<LowerBounds> for Vec<String> {
    fn from(bounds: LowerBounds) -> Self {
        let told = TOLD.into_iter().filter(|(_, quantile)| bounds.contains(*quantile));
        told.map(|(name, _)| name.to_owned()).collect()
    }
}

/// Skips names that only a newer version knows.
impl From<Vec<String>> for LowerBounds {
    fn from(names: Vec<String>) -> Self {
        let mut told = TOLD.into_iter().filter(|(told, _)| names.iter().any(|name| name == told));
        Self { from: told.next().map(|(_, quantile)| quantile) }
    }
}

/// Returns the share of requests that take longer than each time at which a request was answered,
/// in ascending order.
fn survival(latency: &Times, unanswered: &Times) -> Vec<(u64, f64)> {
    let mut at_risk = latency.len() as f64;
    let mut surviving = 1.0;
    let mut steps = Vec::new();
    for value in latency.iter_recorded() {
        let all = value.count_at_value() as f64;
        let censored = unanswered.count_at(value.value_iterated_to()) as f64;
        // At equal times, requests that were answered count before those that were given up.
        if all > censored {
            surviving *= 1.0 - (all - censored) / at_risk;
            steps.push((value.value_iterated_to(), surviving));
        }
        at_risk -= all;
    }
    steps
}

/// Returns the product-limit estimate of a quantile; `None` if too few requests were answered for
/// it.
fn estimate(survival: &[(u64, f64)], quantile: f64) -> Option<u64> {
    // Allows for the rounding errors of a product of many factors.
    let beyond = (1.0 - quantile) * (1.0 + 1e-9);
    survival.iter().find(|(_, surviving)| *surviving <= beyond).map(|&(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::times;
    use crate::times::empty_times;

    /// Returns the bounds for requests with these latencies and others that were given up at these
    /// ages.
    fn bounds(answered: &[(u64, u64)], given_up: &[(u64, u64)]) -> LowerBounds {
        let unanswered = times(given_up);
        let mut latency = times(answered);
        latency.add(&unanswered).unwrap();
        LowerBounds::of(&latency, &unanswered)
    }

    fn names(bounds: LowerBounds) -> Vec<String> {
        bounds.into()
    }

    #[test]
    fn the_estimate_agrees_with_a_published_example() {
        // Weeks of remission under 6-MP, Freireich and others 1963, as in Gehan 1965 and every
        // textbook since; the estimates are those of Cox and Oakes 1984, table 1.1.
        let relapsed = [(6, 3), (7, 1), (10, 1), (13, 1), (16, 1), (22, 1), (23, 1)];
        let censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35].map(|weeks| (weeks, 1));
        let unanswered = times(&censored);
        let mut all = times(&relapsed);
        all.add(&unanswered).unwrap();
        let published = [
            (6, 0.857),
            (7, 0.807),
            (10, 0.753),
            (13, 0.690),
            (16, 0.627),
            (22, 0.538),
            (23, 0.448),
        ];
        let found = survival(&all, &unanswered);
        assert_eq!(found.len(), published.len());
        for ((week, share), (published_week, published_share)) in found.iter().zip(published) {
            assert_eq!(*week, published_week);
            assert!((share - published_share).abs() < 0.0006, "week {week}: {share}");
        }
        assert_eq!(estimate(&found, 0.5), Some(23));
        assert_eq!(estimate(&found, 0.9), None);
    }

    #[test]
    fn nothing_is_a_bound_if_everything_was_answered() {
        assert_eq!(bounds(&[(1_000, 990), (9_000, 10)], &[]), LowerBounds::default());
        assert_eq!(LowerBounds::of(&empty_times(), &empty_times()), LowerBounds::default());
    }

    #[test]
    fn one_unanswered_request_of_250_makes_bounds_of_the_percentiles_that_reach_it() {
        let bounds = bounds(&[(1_000_000, 249)], &[(3_000_000_000, 1)]);
        assert_eq!(names(bounds), ["p99.9", "p99.99", "max"]);
        assert!(bounds.contains(0.999) && !bounds.contains(0.99));
    }

    #[test]
    fn many_requests_given_up_below_a_percentile_make_it_a_bound() {
        // Half of the requests were given up after 1 ms, so the time that they would have taken is
        // not known.
        let bounds = bounds(&[(500_000, 500), (2_000_000, 10)], &[(1_000_000, 490)]);
        assert_eq!(names(bounds)[0], "p90");
    }

    #[test]
    fn young_requests_in_flight_make_no_bounds() {
        let answered = (1..=1000).map(|step| (step * 1_000, 100)).collect::<Vec<_>>();
        let under_way = (500..=531).map(|step| (step * 1_000, 1)).collect::<Vec<_>>();
        assert_eq!(bounds(&answered, &under_way), LowerBounds::default());
    }

    #[test]
    fn the_maximum_is_a_bound_if_the_oldest_has_no_response() {
        assert_eq!(names(bounds(&[(1_000, 100_000)], &[(2_000, 1)])), ["max"]);
    }

    #[test]
    fn unknown_names_are_ignored() {
        let read = |json: &str| serde_json::from_str::<LowerBounds>(json).unwrap();
        assert!(read(r#"["p99.999", "max"]"#).contains(1.0));
        assert!(read(r#"["p99.999"]"#).is_empty());
    }
}
