//! `sample-size`: checks that there are enough samples for the percentiles that are shown, by the
//! rule of [`percentile`](crate::percentile).
//!
//! The rule is for the best case, independent values; the intervals beside the percentiles allow
//! for dependent ones.

use super::definition::{Check, Judgement, Verdict};
use crate::measurement::Measurement;
use crate::percentile::samples_for;

pub(super) const CHECK: Check = Check { name: "sample-size", judge };

/// Percentiles of the wire format, from the highest.
const PERCENTILES: [(&str, f64); 6] = [
    ("p99.99", 0.9999),
    ("p99.9", 0.999),
    ("p99", 0.99),
    ("p95", 0.95),
    ("p90", 0.9),
    ("p50", 0.5),
];

/// Highest percentile that the text for people shows. Only programs read p99.99, and they read the
/// outcome of this check, too.
const HIGHEST_SHOWN: f64 = 0.999;

#[expect(clippy::unnecessary_wraps, reason = "the shape of a check; this one always applies")]
fn judge(measured: &Measurement) -> Option<Judgement> {
    // The distribution also holds the ages of requests without a response, which are not samples of
    // the latency.
    let samples = measured.requests.completed;
    let supported = PERCENTILES.iter().find(|(_, quantile)| samples >= samples_for(*quantile));
    Some(match supported {
        Some((name, quantile)) if *quantile >= HIGHEST_SHOWN => {
            Judgement::new(Verdict::Pass, format!("{samples} samples are enough up to {name}"))
        }
        Some((name, _)) => Judgement::new(
            Verdict::Warn,
            format!(
                "{samples} samples are enough up to {name}, and p99.9 needs {}: measure longer",
                samples_for(HIGHEST_SHOWN)
            ),
        ),
        None => Judgement::new(
            Verdict::Fail,
            format!(
                "{samples} samples are not enough for a median, which needs {}",
                samples_for(0.5)
            ),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;

    fn with(samples: u64) -> Judgement {
        let mut measured = fixture::closed();
        measured.requests.completed = samples;
        judge(&measured).unwrap()
    }

    #[test]
    fn passes_with_enough_samples_for_the_shown_percentiles() {
        assert_eq!(with(100_000).detail, "100000 samples are enough up to p99.99");
        assert_eq!(with(10_000).verdict, Verdict::Pass);
    }

    #[test]
    fn warns_and_names_the_highest_percentile_that_is_supported() {
        let judgement = with(1000);
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert_eq!(
            judgement.detail,
            "1000 samples are enough up to p99, and p99.9 needs 10000: measure longer"
        );
    }

    #[test]
    fn fails_without_enough_for_a_median() {
        assert_eq!(with(19).verdict, Verdict::Fail);
        assert_eq!(with(0).detail, "0 samples are not enough for a median, which needs 20");
    }
}
