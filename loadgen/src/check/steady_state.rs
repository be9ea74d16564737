//! `steady-state`: checks that the measured quantity stayed the same from the beginning to the end.
//!
//! A change within the run (a leak, a machine that grows hot, another virtual machine that starts,
//! a server that loses half of its workers) makes every number an average over a state that has
//! passed. The check looks at the throughput of a closed loop and the median latency of an open
//! one, per batch: in each loop, that is the quantity that the workload does not fix. The mean
//! latency was rejected, because one stall dominates it.
//!
//! Two tests share the work: Mann and Kendall's for a trend and Pettitt's for a step. Both look at
//! ranks, and consecutive batches are alike, so these tests alone would raise an alarm on every
//! queue and on every machine whose speed varies slowly. A change is therefore reported only if it
//! is also large, and large compared with the noise about the trend or the step, with the
//! autocorrelation of the noise allowed for. `cargo bench --bench truth` measures the false-alarm
//! rate of honest runs and the share of faults that is found; its table is in METHODOLOGY.md.

use std::time::Duration;

use super::definition::{Check, Judgement, Verdict, percent};
use crate::measurement::{Batch, Measurement};
use crate::workload::Pacing;

pub(super) const CHECK: Check = Check { name: "steady-state", judge };

/// Fewest batches for which the normal approximation of Mann and Kendall's test may be used (Mann
/// 1945). Pettitt's test finds nothing below 11.
const MIN_BATCHES: usize = 8;

/// Critical value for a trend: two-sided 1 % of the normal distribution.
const SIGNIFICANT_Z: f64 = 2.576;

/// Level of Pettitt's test: with 20 batches, it can still find a step before the last 5.
const STEP_LEVEL: f64 = 0.05;

/// Changes within the run, relative to the larger side, above which the check warns and fails. They
/// were chosen by simulation, together with [`MIN_ERRORS`]: at most 1 % of stationary runs fail and
/// 5 % warn, including those of a machine whose level varies by 20 %, and a server whose throughput
/// halves fails.
const WARN_CHANGE: f64 = 0.25;
const FAIL_CHANGE: f64 = 0.45;

/// Least size of a change that is reported, in standard errors.
const MIN_ERRORS: f64 = 9.0;

/// Fewest requests that at least a quarter of the batches must hold, if batches are shorter than a
/// second; the other batches may be without a response. For a closed loop, these are enough to know
/// the noise of the counts from the other batches. For an open loop, they are enough that most
/// batches begin with a different queue than the batch before.
const SHORT_BATCH: Duration = Duration::from_secs(1);
const MIN_REQUESTS_CLOSED: u64 = 20;
const MIN_REQUESTS_OPEN: u64 = 100;

/// Factor that turns a median absolute deviation into a standard deviation, for normal values.
const MAD_TO_SIGMA: f64 = 1.4826;

/// Standard deviations at which a value is clipped for the autocorrelation: a single stall must not
/// hide it.
const CLIPPED_AT: f64 = 3.0;

/// Largest autocorrelation that is allowed for: within one run, a longer memory can't be
/// distinguished from a trend.
const MAX_AUTOCORRELATION: f64 = 0.95;

/// A change that a test has found.
struct Change {
    /// Levels at the beginning and at the end.
    from: f64,
    to: f64,
    /// Size in standard errors of the noise about it.
    errors: f64,
    /// Index of the first value of the later level; `None` for a trend.
    at: Option<usize>,
    /// Name of the test that found the change, with its statistic.
    test: String,
}

impl Change {
    /// Returns the smaller level as a share of the larger one; 1 if both are 0, because nothing
    /// changes then.
    fn ratio(&self) -> f64 {
        let larger = self.from.max(self.to);
        if larger > 0.0 { self.from.min(self.to) / larger } else { 1.0 }
    }

    fn verdict(&self) -> Verdict {
        if self.errors < MIN_ERRORS {
            return Verdict::Pass;
        }
        Verdict::above(1.0 - self.ratio(), WARN_CHANGE, FAIL_CHANGE)
    }

    fn describe(&self, what: &str, begins: &[Duration]) -> String {
        let share = percent(self.ratio());
        let fell = self.to < self.from;
        let way = match self.at {
            None if fell => format!("{what} fell to {share} of what it was"),
            None => format!("{what} began at {share} of what it became"),
            Some(first) => {
                let at = format!("{:.2} s", begins[first].as_secs_f64());
                if fell {
                    format!("{what} from {at} on was {share} of what it was before")
                } else {
                    format!("{what} until {at} was {share} of what it was later")
                }
            }
        };
        format!("{way} ({}): its numbers do not describe a steady state", self.test)
    }
}

fn judge(measured: &Measurement) -> Option<Judgement> {
    let batches = &measured.batches;
    let (what, value, least): (_, fn(&Batch) -> Option<f64>, _) = match measured.workload.pacing {
        Pacing::Closed => ("throughput", throughput, MIN_REQUESTS_CLOSED),
        Pacing::Open { .. } => ("median latency", median_latency, MIN_REQUESTS_OPEN),
    };
    let (begins, series) = series(batches, value);
    if series.len() < MIN_BATCHES || !hold_enough(batches, least) {
        return None;
    }
    let changes = [step(&series), trend(&series)].into_iter().flatten();
    let worst =
        changes.max_by(|a, b| a.verdict().cmp(&b.verdict()).then(b.ratio().total_cmp(&a.ratio())));
    let told = worst
        .filter(|change| change.verdict() != Verdict::Pass)
        .map(|change| Judgement::new(change.verdict(), change.describe(what, &begins)));
    Some(told.unwrap_or_else(|| {
        let detail = format!(
            "{what} has no large change that stands out from the noise of {} batches",
            series.len()
        );
        Judgement::new(Verdict::Pass, detail)
    }))
}

/// Returns true if the batches hold enough requests to be compared.
fn hold_enough(batches: &[Batch], least: u64) -> bool {
    let mut requests = batches.iter().map(|batch| batch.completed).collect::<Vec<_>>();
    requests.sort_unstable();
    batches[0].length >= SHORT_BATCH || requests[requests.len() * 3 / 4] >= least
}

/// Returns the beginnings and the values of the batches that have a value. A last batch that is
/// shorter than half of the others says too little and is left out.
fn series(batches: &[Batch], value: fn(&Batch) -> Option<f64>) -> (Vec<Duration>, Vec<f64>) {
    let Some(first) = batches.first() else { return Default::default() };
    let begun = batches.iter().scan(Duration::ZERO, |end, batch| {
        let begin = *end;
        *end += batch.length;
        Some((begin, batch))
    });
    let long = begun.filter(|(_, batch)| batch.length >= first.length / 2);
    long.filter_map(|(begin, batch)| Some((begin, value(batch)?))).unzip()
}

fn throughput(batch: &Batch) -> Option<f64> {
    (!batch.length.is_zero()).then(|| batch.completed as f64 / batch.length.as_secs_f64())
}

fn median_latency(batch: &Batch) -> Option<f64> {
    (!batch.latency.is_empty()).then(|| batch.latency.value_at_quantile(0.5) as f64)
}

/// Finds a change that continues through the whole run.
fn trend(series: &[f64]) -> Option<Change> {
    let z = mann_kendall_z(series);
    if z.abs() <= SIGNIFICANT_Z {
        return None;
    }
    let n = series.len() as f64;
    let slope = theil_sen_slope(series);
    let line = |i: usize| slope * (i as f64 - (n - 1.0) / 2.0);
    let flat = series.iter().enumerate().map(|(i, value)| value - line(i)).collect::<Vec<_>>();
    let middle = median(flat.clone());
    let noise = noise(&flat.iter().map(|value| value - middle).collect::<Vec<_>>());
    // Standard error of the slope of a line that is fitted to n values in unit steps, as in least
    // squares.
    let error = noise * (12.0 / (n * (n * n - 1.0))).sqrt();
    Some(Change {
        from: (middle + line(0)).max(0.0),
        to: (middle + line(series.len() - 1)).max(0.0),
        errors: slope.abs() / error,
        at: None,
        test: format!("Mann–Kendall z = {z:.1}"),
    })
}

/// Finds a change at one moment, from one level to another.
fn step(series: &[f64]) -> Option<Change> {
    let (k, at) = pettitt(series);
    let p = pettitt_p(k, series.len() as f64);
    if at == 0 || p > STEP_LEVEL {
        return None;
    }
    let (before, after) = series.split_at(at);
    let (from, to) = (median(before.to_vec()), median(after.to_vec()));
    let residuals =
        before.iter().map(|value| value - from).chain(after.iter().map(|value| value - to));
    let noise = noise(&residuals.collect::<Vec<_>>());
    let error = noise * (1.0 / before.len() as f64 + 1.0 / after.len() as f64).sqrt();
    let test = format!("Pettitt K = {k}");
    Some(Change { from, to, errors: (to - from).abs() / error, at: Some(at), test })
}

/// Returns the standard deviation of the residuals of a trend or a step, from the median absolute
/// deviation, times the factor by which autocorrelation increases the error of a mean. For a
/// process of the first order, this is √((1 + r) / (1 − r)) (Bayley and Hammersley 1946).
fn noise(residuals: &[f64]) -> f64 {
    let sigma = MAD_TO_SIGMA * median(residuals.iter().map(|value| value.abs()).collect());
    let limit = CLIPPED_AT * sigma;
    let clipped = residuals.iter().map(|value| value.clamp(-limit, limit)).collect::<Vec<_>>();
    let r = autocorrelation(&clipped);
    sigma * ((1.0 + r) / (1.0 - r)).sqrt()
}

/// Returns the autocorrelation of each value with the next one, between 0 and
/// [`MAX_AUTOCORRELATION`]. With few values the estimate is too small by (1 + 4r)/n, which is
/// corrected (Kendall 1954; Marriott and Pope 1954).
fn autocorrelation(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    if squares <= 0.0 {
        return 0.0;
    }
    let products = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>();
    ((n * products / squares + 1.0) / (n - 4.0)).clamp(0.0, MAX_AUTOCORRELATION)
}

/// Returns Pettitt's statistic K, and the number of values before the step. The step is the split
/// with the most pairs in ascending order across it, less those in descending order, or the reverse
/// (Pettitt 1979, "A non-parametric approach to the change-point problem").
fn pettitt(series: &[f64]) -> (i64, usize) {
    let across = |at: usize| {
        let (before, after) = series.split_at(at);
        let pairs = before.iter().flat_map(|a| after.iter().map(move |b| order(*a, *b)));
        (pairs.sum::<i64>().abs(), at)
    };
    (1..series.len()).map(across).max_by_key(|&(k, _)| k).unwrap_or_default()
}

/// Returns the probability of as large a K without a step: 2 exp(−6K² / (n³ + n²)) (Pettitt 1979).
fn pettitt_p(k: i64, n: f64) -> f64 {
    2.0 * (-6.0 * (k as f64).powi(2) / (n.powi(3) + n.powi(2))).exp()
}

/// Returns 1 if `b` is above `a`, −1 if it is below, and 0 if they are equal.
fn order(a: f64, b: f64) -> i64 {
    i64::from(b > a) - i64::from(b < a)
}

/// Returns the statistic of Mann and Kendall's test for a trend: the standard normal deviate of S,
/// the number of pairs in ascending order less those in descending order, corrected for continuity
/// and for ties (Mann 1945; Kendall 1975, Rank Correlation Methods).
fn mann_kendall_z(series: &[f64]) -> f64 {
    let pairs =
        series.iter().enumerate().flat_map(|(i, a)| series[i + 1..].iter().map(move |b| (a, b)));
    let s = pairs.map(|(a, b)| order(*a, *b)).sum::<i64>() as f64;
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let mut sorted = series.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties = sorted
        .chunk_by(|a, b| a.total_cmp(b).is_eq())
        .map(|tied| term(tied.len() as f64))
        .sum::<f64>();
    let variance = (term(series.len() as f64) - ties) / 18.0;
    if variance <= 0.0 { 0.0 } else { s.signum() * (s.abs() - 1.0).max(0.0) / variance.sqrt() }
}

/// Returns the median of the slopes between all pairs, per step (Theil 1950; Sen 1968): a trend
/// that single batches can't distort.
fn theil_sen_slope(series: &[f64]) -> f64 {
    let slopes = (0..series.len())
        .flat_map(|i| (i + 1..series.len()).map(move |j| (series[j] - series[i]) / (j - i) as f64));
    median(slopes.collect())
}

/// Returns the median; 0 if there are no values.
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

    /// Judges a closed loop whose batches of a second have these shares of the usual throughput.
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
        assert_eq!(closed(&line(1.0, 0.8)).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn passes_a_single_stall() {
        let stall = [1.0, 1.01, 0.99, 1.0, 0.0, 0.99, 1.01, 1.0, 0.98, 1.02];
        assert_eq!(closed(&stall).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn warns_of_a_drift_and_fails_a_slide() {
        let drift = closed(&line(1.0, 0.7)).unwrap();
        assert_eq!(drift.verdict, Verdict::Warn);
        assert!(
            drift.detail.starts_with("throughput fell to 70 % of what it was"),
            "{}",
            drift.detail
        );
        assert_eq!(closed(&line(1.0, 0.5)).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn fails_an_open_loop_whose_latency_grows() {
        let mut measured = fixture::open(Arrivals::Poisson);
        measured.batches = (1..=10).map(|second| batch(1000, second * 1_000_000)).collect();
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(
            judgement.detail.starts_with("median latency began at 10.0 %"),
            "{}",
            judgement.detail
        );
    }

    /// Judges twenty batches with noise of a few percent: the first `before` of them at the full
    /// level, the others at `share` of it.
    fn stepping(before: usize, share: f64) -> Option<Judgement> {
        let noise = [0.0, -0.03, 0.02, 0.01, -0.02, 0.03, -0.01].into_iter().cycle();
        let level = |at: usize| if at < before { 1.0 } else { share };
        let values = noise.take(20).enumerate().map(|(at, noise)| level(at) * (1.0 + noise));
        closed(&values.collect::<Vec<_>>())
    }

    #[test]
    fn fails_a_server_that_halves_at_any_time_of_the_run() {
        for before in [6, 10, 14] {
            let judgement = stepping(before, 0.5).unwrap();
            assert_eq!(judgement.verdict, Verdict::Fail, "{before}: {}", judgement.detail);
        }
        let detail = stepping(10, 0.4).unwrap().detail;
        assert!(
            detail.starts_with("throughput from 10.00 s on was 40 % of what it was before"),
            "{detail}"
        );
    }

    #[test]
    fn a_server_that_dies_has_fallen_by_no_more_than_all() {
        for before in [10, 14] {
            let judgement = stepping(before, 0.0).unwrap();
            assert_eq!(judgement.verdict, Verdict::Fail, "{before}");
            assert!(judgement.detail.contains(" 0 % of what it was"), "{}", judgement.detail);
        }
    }

    #[test]
    fn a_step_up_is_reported_as_a_step() {
        let judgement = stepping(10, 2.5).unwrap();
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert!(
            judgement.detail.starts_with("throughput until 10.00 s was 40 % of what it was later"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn a_level_that_varies_is_no_trend() {
        let wave = (0..20).map(|i| 1.0 + 0.3 * (f64::from(i) / 4.0).sin()).collect::<Vec<_>>();
        assert_eq!(closed(&wave).unwrap().verdict, Verdict::Pass);
    }

    /// Judges a closed loop as [`closed`] does, in batches of 30 ms with this many requests each.
    fn short(shares: &[f64], requests: f64) -> Option<Judgement> {
        let mut measured = fixture::closed();
        let of = |share: &f64| Batch {
            length: Duration::from_millis(30),
            ..batch((share * requests) as u64, 1_000_000)
        };
        measured.batches = shares.iter().map(of).collect();
        judge(&measured)
    }

    #[test]
    fn does_not_apply_to_short_batches_of_few_requests() {
        assert_eq!(short(&line(1.0, 0.5), 20.0), None);
        assert_eq!(short(&line(1.0, 0.5), 200.0).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn does_not_apply_to_few_batches() {
        assert_eq!(closed(&[1.0; 7]), None);
    }

    #[test]
    fn mann_kendall_agrees_with_a_published_example() {
        // Gilbert 1987, Statistical Methods for Environmental Pollution Monitoring, sections 16.4.1
        // and 16.4.2: four values in order have S = 6 of n(n−1)/2 = 6 pairs and var S = 4·3·13/18;
        // ten without a tie, 10·9·25/18 = 125.
        let four = mann_kendall_z(&[1.0, 2.0, 3.0, 4.0]);
        assert!((four - 5.0 / (4.0 * 3.0 * 13.0 / 18.0_f64).sqrt()).abs() < 1e-12, "{four}");
        let ten = mann_kendall_z(&line(10.0, 1.0));
        assert!((ten + 44.0 / 125.0_f64.sqrt()).abs() < 1e-12, "{ten}");
    }

    #[test]
    fn pettitt_agrees_with_a_calculation_by_hand() {
        // Each of the three pairs across the split is in ascending order.
        assert_eq!(pettitt(&[1.0, 2.0, 2.0, 2.0]), (3, 1));
        // The last 5 of 20: K = 75, and 2 exp(−6 · 75² / (20³ + 20²)) = 0.036.
        let series = [[1.0; 15].as_slice(), &[2.0; 5]].concat();
        assert_eq!(pettitt(&series), (75, 15));
        assert!((pettitt_p(75, 20.0) - 0.0360).abs() < 1e-4);
    }

    #[test]
    fn autocorrelated_values_are_noisier_than_they_look() {
        let alone = [1.0, -1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0];
        let alike = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0];
        assert!((noise(&alone) - MAD_TO_SIGMA).abs() < 1e-9);
        assert!(noise(&alike) > 4.0 * MAD_TO_SIGMA);
    }

    #[test]
    fn equal_values_have_no_trend() {
        assert!(mann_kendall_z(&[1.0; 10]).abs() < 1e-12);
        assert!(theil_sen_slope(&[1.0; 10]).abs() < 1e-12);
    }

    #[test]
    fn an_outlier_does_not_distort_theil_sen() {
        assert!((theil_sen_slope(&[1.0, 2.0, 3.0, 400.0, 5.0, 6.0, 7.0]) - 1.0).abs() < 1e-12);
    }
}
