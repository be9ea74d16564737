//! `errors`: checks that few requests and connects failed.
//!
//! The latency that a failed request would have had is not known. So with a share f of failures,
//! the percentiles above 1 − f are not known.

use super::definition::{Check, Judgement, Verdict, percent};
use crate::measurement::Measurement;

pub(super) const CHECK: Check = Check { name: "errors", judge };

/// Share of failures above which p99 is the percentile of another population: the requests that
/// were lucky.
const MAX_FAILED_SHARE: f64 = 0.01;

#[expect(clippy::unnecessary_wraps, reason = "the shape of a check; this one always applies")]
fn judge(measured: &Measurement) -> Option<Judgement> {
    let Measurement { requests, errors, .. } = *measured;
    let failed_requests = share(requests.failed, requests.completed);
    let failed_connects = share(errors.connect, measured.connections.opened_total);
    if requests.failed == 0 && errors.connect == 0 {
        return Some(Judgement::new(
            Verdict::Pass,
            format!("none in {} requests", requests.completed),
        ));
    }
    // No share of failures is small enough to pass: a server should cause none.
    let verdict = Verdict::above(failed_requests.max(failed_connects), 0.0, MAX_FAILED_SHARE);
    let mut detail = format!(
        "{} of requests and {} of connects failed ({})",
        percent(failed_requests),
        percent(failed_connects),
        errors
    );
    if requests.failed > 0 && requests.completed > 0 {
        detail += &format!("; no latency above p{} is known", known_percentile(failed_requests));
    }
    Some(Judgement::new(verdict, detail))
}

fn share(bad: u64, good: u64) -> f64 {
    bad as f64 / (bad + good).max(1) as f64
}

/// Returns the highest percentile with a known latency, rounded down to four decimal places.
fn known_percentile(failed_share: f64) -> f64 {
    ((1.0 - failed_share) * 1e6).floor() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;
    use crate::measurement::Errors;

    fn with(resets: u64, connects: u64) -> Judgement {
        let mut measured = fixture::closed();
        measured.requests.completed = 10_000 - resets;
        measured.requests.failed = resets;
        measured.errors = Errors { reset: resets, connect: connects, ..Errors::default() };
        judge(&measured).unwrap()
    }

    #[test]
    fn passes_without_any() {
        assert_eq!(with(0, 0).verdict, Verdict::Pass);
    }

    #[test]
    fn warns_of_a_few_and_says_which_and_what_they_hide() {
        let judgement = with(12, 0);
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert_eq!(
            judgement.detail,
            "0.12 % of requests and 0 % of connects failed (12 reset); no latency above p99.88 is known"
        );
    }

    #[test]
    fn fails_when_one_request_in_a_hundred_fails() {
        assert_eq!(with(101, 0).verdict, Verdict::Fail);
    }

    #[test]
    fn fails_when_connects_fail() {
        let judgement = with(0, 64);
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert_eq!(judgement.detail, "0 % of requests and 50 % of connects failed (64 connect)");
    }
}
