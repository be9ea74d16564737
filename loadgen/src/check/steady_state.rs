//! `steady-state`: whether what was measured stayed the same from begin to end.
//!
//! A trend over the run (a leak, a machine that grows hot, a warm-up that goes on, a line that grows) makes every number
//! that is shown an average over something that passed. Looked at is the throughput of a closed loop and the mean latency
//! of an open one, per batch: each is what the loop leaves free.
//!
//! A run of less than 10 seconds has batches of less than a second. What holds there: a trend
//! through all of its tenths is still unlikely to be chance, but it may be the last of a process's
//! warm-up, or a neighbour of a shared machine who was there for half of it, where a longer run
//! would have gone on without a trend. So in short batches a change has to be twice as large, and
//! the batches have to hold enough requests that counting them is no noise of that size. Of 78 runs
//! of 1.2 s against fresh servers, on two shared processors, 3 had a warning and none failed.

use std::time::Duration;

use super::{Check, Judgement, Verdict, percent};
use crate::measurement::{Batch, Measurement};
use crate::workload::Pacing;

pub(super) const CHECK: Check = Check { name: "steady-state", judge };

/// Batches below which the normal approximation of Mann and Kendall's test is not to be used (Mann 1945).
const MIN_BATCHES: usize = 8;

/// Two-sided 1 % of the normal distribution. Batches of a shared machine are correlated, which makes the test find trends
/// too often (Hamed and Rao 1998), so a trend has to be large as well.
const SIGNIFICANT_Z: f64 = 2.576;

/// Change over the run, relative to the median batch: what a reader takes for the same, and what nobody does.
const WARN_CHANGE: f64 = 0.1;
const FAIL_CHANGE: f64 = 0.3;

/// Batches below this length are short: see above.
const SHORT_BATCH: Duration = Duration::from_secs(1);

/// What the changes above are multiplied with where batches are short.
const SHORT_BATCH_FACTOR: f64 = 2.0;

/// Requests that the median short batch holds at least. Counts of 100 that are Poisson differ by a
/// tenth, half of what is warned of.
const MIN_REQUESTS: u64 = 100;

/// How far the first batch may be from the others, in their standard deviations estimated from their median absolute
/// deviation.
const FIRST_DEVIATIONS: f64 = 3.0;

/// What turns a median absolute deviation into a standard deviation, of normal values.
const MAD_TO_SIGMA: f64 = 1.4826;

fn judge(measured: &Measurement) -> Option<Judgement> {
    let (what, series) = match measured.workload.pacing {
        Pacing::Closed => ("throughput", series(&measured.batches, throughput)),
        Pacing::Open { .. } => ("mean latency", series(&measured.batches, mean_latency)),
    };
    let factor = change_factor(&measured.batches)?;
    if series.len() < MIN_BATCHES {
        return None;
    }
    let z = mann_kendall_z(&series);
    let change = theil_sen_slope(&series) * (series.len() - 1) as f64 / median(series.clone());
    if z.abs() > SIGNIFICANT_Z && change.abs() > factor * WARN_CHANGE {
        let verdict = Verdict::above(change.abs(), factor * WARN_CHANGE, factor * FAIL_CHANGE);
        let way = if change > 0.0 { "rose" } else { "fell" };
        let detail = format!(
            "{what} {way} by {} over the run (Mann–Kendall z = {z:.1}): no number of it is one of a steady state",
            percent(change.abs())
        );
        return Some(Judgement::new(verdict, detail));
    }
    Some(first_is_off(what, &series, factor * WARN_CHANGE).unwrap_or_else(|| {
        let detail = format!("{what} is without a trend over {} batches", series.len());
        Judgement::new(Verdict::Pass, detail)
    }))
}

/// What limits are multiplied with for batches of this length; none where they hold too little to
/// be compared.
fn change_factor(batches: &[Batch]) -> Option<f64> {
    if batches.first()?.length >= SHORT_BATCH {
        return Some(1.0);
    }
    let mut requests = batches.iter().map(|batch| batch.completed).collect::<Vec<_>>();
    requests.sort_unstable();
    (requests[requests.len() / 2] >= MIN_REQUESTS).then_some(SHORT_BATCH_FACTOR)
}

/// A value per batch; a last one that is shorter than half of the others tells too little.
fn series(batches: &[Batch], value: fn(&Batch) -> Option<f64>) -> Vec<f64> {
    let Some(first) = batches.first() else { return Vec::new() };
    batches.iter().filter(|batch| batch.length >= first.length / 2).filter_map(value).collect()
}

fn throughput(batch: &Batch) -> Option<f64> {
    (!batch.length.is_zero()).then(|| batch.completed as f64 / batch.length.as_secs_f64())
}

fn mean_latency(batch: &Batch) -> Option<f64> {
    (!batch.latency.is_empty()).then(|| batch.latency.mean())
}

/// A warm-up that was too short: the first batch differs from all others, in one direction, by more than they differ from
/// each other, and by more than `change` of them.
fn first_is_off(what: &str, series: &[f64], change: f64) -> Option<Judgement> {
    let (first, rest) = (series[0], &series[1..]);
    let middle = median(rest.to_vec());
    let sigma = MAD_TO_SIGMA * median(rest.iter().map(|value| (value - middle).abs()).collect());
    let deviation = first - middle;
    let is_extreme = rest.iter().all(|&value| value < first) || rest.iter().all(|&value| value > first);
    let is_off =
        is_extreme && deviation.abs() > FIRST_DEVIATIONS * sigma && deviation.abs() > change * middle;
    is_off.then(|| {
        let side = if deviation > 0.0 { "above" } else { "below" };
        let detail = format!(
            "{what} began {} {side} what came later: use a longer --warmup",
            percent((deviation / middle).abs())
        );
        Judgement::new(Verdict::Warn, detail)
    })
}

/// Mann and Kendall's test for a trend: the standard normal deviate of S, the number of pairs in ascending order less
/// those in descending order, corrected for continuity and for ties (Mann 1945; Kendall 1975, Rank Correlation Methods).
fn mann_kendall_z(series: &[f64]) -> f64 {
    let pairs = series.iter().enumerate().flat_map(|(i, a)| series[i + 1..].iter().map(move |b| (a, b)));
    let s = pairs.map(|(a, b)| f64::from(i8::from(b > a) - i8::from(b < a))).sum::<f64>();
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let mut sorted = series.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties =
        sorted.chunk_by(|a, b| a.total_cmp(b).is_eq()).map(|tied| term(tied.len() as f64)).sum::<f64>();
    let variance = (term(series.len() as f64) - ties) / 18.0;
    if variance <= 0.0 { 0.0 } else { s.signum() * (s.abs() - 1.0).max(0.0) / variance.sqrt() }
}

/// The median of the slopes between all pairs, per step (Theil 1950; Sen 1968): a trend that single batches cannot bend.
fn theil_sen_slope(series: &[f64]) -> f64 {
    let slopes = (0..series.len())
        .flat_map(|i| (i + 1..series.len()).map(move |j| (series[j] - series[i]) / (j - i) as f64));
    median(slopes.collect())
}

/// 0 of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{self, CONNECTIONS, batch};
    use crate::workload::Arrivals;

    /// A closed loop with those shares of its usual throughput, in batches of a second.
    fn closed(shares: &[f64]) -> Option<Judgement> {
        let mut measured = fixture::closed();
        let completed = |share: &f64| (share * CONNECTIONS as f64 * 1000.0) as u64;
        measured.batches = shares.iter().map(|share| batch(completed(share), 1_000_000)).collect();
        judge(&measured)
    }

    fn line(from: f64, to: f64) -> Vec<f64> {
        (0..10).map(|i| from + (to - from) * f64::from(i) / 9.0).collect()
    }

    #[test]
    fn passes_without_a_trend() {
        let noise = [1.0, 0.97, 1.02, 0.99, 1.03, 0.98, 1.01, 0.99, 1.0, 1.02];
        assert_eq!(closed(&noise).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn passes_a_trend_that_is_too_small_to_matter() {
        assert_eq!(closed(&line(1.0, 0.95)).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn passes_a_single_stall() {
        let stall = [1.0, 1.01, 0.99, 1.0, 0.0, 0.99, 1.01, 1.0, 0.98, 1.02];
        assert_eq!(closed(&stall).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn warns_of_a_drift_and_fails_a_slide() {
        let drift = closed(&line(1.0, 0.8)).unwrap();
        assert_eq!(drift.verdict, Verdict::Warn);
        assert!(drift.detail.starts_with("throughput fell by 22 % over the run"), "{}", drift.detail);
        assert_eq!(closed(&line(1.0, 0.5)).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn fails_an_open_loop_whose_latency_grows() {
        let mut measured = fixture::open(Arrivals::Poisson);
        measured.batches = (1..=10).map(|second| batch(1000, second * 1_000_000)).collect();
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(judgement.detail.starts_with("mean latency rose by"), "{}", judgement.detail);
    }

    #[test]
    fn warns_when_the_warm_up_was_too_short() {
        let cold = [0.7, 1.0, 1.02, 0.99, 1.0, 0.98, 1.01, 0.99, 1.0, 1.02];
        let judgement = closed(&cold).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert_eq!(judgement.detail, "throughput began 30 % below what came later: use a longer --warmup");
    }

    /// As [`closed`], in batches of 120 ms with so many requests each.
    fn short(shares: &[f64], requests: f64) -> Option<Judgement> {
        let mut measured = fixture::closed();
        let of = |share: &f64| Batch {
            length: Duration::from_millis(120),
            ..batch((share * requests) as u64, 1_000_000)
        };
        measured.batches = shares.iter().map(of).collect();
        judge(&measured)
    }

    #[test]
    fn a_change_within_a_short_run_has_to_be_twice_as_large() {
        let verdict = |shares: &[f64]| short(shares, 1000.0).unwrap().verdict;
        assert_eq!(verdict(&line(1.0, 0.85)), Verdict::Pass);
        assert_eq!(verdict(&line(1.0, 0.7)), Verdict::Warn);
        assert_eq!(verdict(&line(1.0, 0.4)), Verdict::Fail);
    }

    #[test]
    fn a_cold_first_batch_of_a_short_run_has_to_be_twice_as_far_off() {
        let rest = [1.0, 1.02, 0.99, 1.0, 0.98, 1.01, 0.99, 1.0, 1.02];
        let verdict = |first: f64| short(&[&[first], &rest[..]].concat(), 1000.0).unwrap().verdict;
        assert_eq!([0.85, 0.7].map(verdict), [Verdict::Pass, Verdict::Warn]);
    }

    #[test]
    fn does_not_apply_to_short_batches_of_few_requests() {
        assert_eq!(short(&line(1.0, 0.5), 100.0), None);
        assert!(short(&line(1.0, 0.5), 200.0).is_some());
    }

    #[test]
    fn does_not_apply_to_few_batches() {
        assert_eq!(closed(&[1.0; 7]), None);
    }

    #[test]
    fn mann_kendall_agrees_with_a_published_example() {
        // Gilbert 1987, Statistical Methods for Environmental Pollution Monitoring, sections 16.4.1 and 16.4.2: four
        // values in order have S = 6 of n(n−1)/2 = 6 pairs and var S = 4·3·13/18; ten without a tie, 10·9·25/18 = 125.
        let four = mann_kendall_z(&[1.0, 2.0, 3.0, 4.0]);
        assert!((four - 5.0 / (4.0 * 3.0 * 13.0 / 18.0_f64).sqrt()).abs() < 1e-12, "{four}");
        let ten = mann_kendall_z(&line(10.0, 1.0));
        assert!((ten + 44.0 / 125.0_f64.sqrt()).abs() < 1e-12, "{ten}");
    }

    #[test]
    fn all_alike_is_no_trend() {
        assert!(mann_kendall_z(&[1.0; 10]).abs() < 1e-12);
        assert!(theil_sen_slope(&[1.0; 10]).abs() < 1e-12);
    }

    #[test]
    fn theil_sen_is_not_bent_by_an_outlier() {
        assert!((theil_sen_slope(&[1.0, 2.0, 3.0, 400.0, 5.0, 6.0, 7.0]) - 1.0).abs() < 1e-12);
    }
}
