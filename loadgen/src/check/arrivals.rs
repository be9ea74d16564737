//! `arrivals`: checks that an open loop spread its requests over time as it was asked to.
//!
//! Bunched arrivals meet a longer queue than spread ones at the same rate. Poisson arrivals are
//! tested with Anderson and Darling's test, constant ones by the distance of the gaps from the
//! period. A request arrives when it is sent, or, if it finds no connection free, when it enters
//! the queue. The server decides when a queued request is sent, and the latency of that request
//! begins when it was due: a server with few connections is offered the same queue as any other.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::definition::{Check, Judgement, Verdict, percent, time};
use crate::measurement::{MAX_ARRIVALS, Measurement};
use crate::workload::{Arrivals, Pacing};

pub(super) const CHECK: Check = Check { name: "arrivals", judge };

/// Share of requests that found a connection free; if it is lower, it is reported.
const NEARLY_ALL: f64 = 0.99;

/// Fewest gaps that are judged.
const MIN_GAPS: usize = 100;

/// Most gaps that are tested, taken evenly from those that were kept. With 500, the test finds a
/// deviation of a tenth of the distribution; with ten thousand, every generator would fail for
/// deviations that no server notices.
const MAX_GAPS: usize = 500;

/// Critical values of A² for a distribution without estimated parameters: the value for 0.1 %
/// (D'Agostino and Stephens 1986, Goodness-of-Fit Techniques, table 4.2), and the value for one in
/// a million, which no table holds. The tail there is √3 · erfc(√A²), because the first term of the
/// limit ΣXⱼ²/(j(j+1)) dominates it (Anderson and Darling 1952).
const WARN_A2: f64 = 6.0;
const FAIL_A2: f64 = 12.5;

/// Shortest mean gap that is tested, in units of the generator's own lateness. At 20, a send is
/// moved by a twentieth of a gap, which adds less than 1 to A².
const LATENESS_PER_GAP: f64 = 20.0;

/// Largest lateness that the test allows for: the one that this generator promises to keep in 99 of
/// 100 sends.
const MAX_LATENESS_NS: u64 = 50_000;

/// Limits for constant arrivals, in periods and in nanoseconds: for nine gaps in ten, the distance
/// from the period must be below the larger of the two limits. Beyond a quarter of a period the
/// gaps are uneven; beyond a whole one the requests come in bunches.
const WARN_PERIODS: f64 = 0.25;
const WARN_NS: f64 = 50_000.0;
const FAIL_PERIODS: f64 = 1.0;
const FAIL_NS: f64 = 200_000.0;

fn judge(measured: &Measurement) -> Option<Judgement> {
    let Pacing::Open { rate, arrivals, .. } = measured.workload.pacing else { return None };
    let lag = &measured.times.send_lag;
    // Every worker keeps its first arrivals. Beyond the first `MAX_ARRIVALS` of all workers
    // together, the arrivals of some workers may be missing.
    let kept = &measured.arrivals[..measured.arrivals.len().min(MAX_ARRIVALS)];
    let period_ns = 1e9 / rate;
    let judgement = match arrivals {
        Arrivals::Constant => judge_constant(&gaps(kept), period_ns),
        Arrivals::Poisson => {
            let lateness_ns = lag.value_at_quantile(0.9).min(MAX_LATENESS_NS) as f64;
            let mean_ns = period_ns.max(LATENESS_PER_GAP * lateness_ns);
            judge_poisson(&beyond(lateness_ns, gaps(&thinned(kept, period_ns / mean_ns))), mean_ns)
        }
    }?;
    let mut detail = judgement.detail;
    let free = lag.len() as f64 / measured.requests.intended.max(1) as f64;
    if free < NEARLY_ALL {
        detail += &format!("; {} of requests found a connection free", percent(free));
    }
    Some(Judgement { detail, ..judgement })
}

fn gaps(times: &[u64]) -> Vec<f64> {
    times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect()
}

/// Keeps each of the times with this probability. A Poisson process that is thinned at random is
/// still one (Kingman 1993, Poisson Processes, section 5.1), but its gaps are long compared with a
/// lateness that no server notices.
fn thinned(times: &[u64], probability: f64) -> Vec<u64> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    times.iter().copied().filter(|_| random.random_bool(probability)).collect()
}

/// Returns the gaps above a bound, less the bound. The exponential distribution has no memory, so
/// they are distributed like all gaps. This leaves out the gaps that the generator's lateness may
/// have caused, and loses nothing; without it, a gap of zero would count as infinitely unlikely.
fn beyond(bound: f64, gaps: Vec<f64>) -> Vec<f64> {
    gaps.into_iter().filter(|&gap| gap > bound).map(|gap| gap - bound).collect()
}

fn judge_poisson(gaps: &[f64], mean_ns: f64) -> Option<Judgement> {
    if gaps.len() < MIN_GAPS {
        return None;
    }
    let sample = gaps.iter().step_by(gaps.len().div_ceil(MAX_GAPS));
    let uniform = sample.map(|gap| -(-gap / mean_ns).exp_m1()).collect::<Vec<_>>();
    let size = uniform.len();
    let a2 = anderson_darling(uniform);
    let verdict = Verdict::above(a2, WARN_A2, FAIL_A2);
    let comparison = if verdict == Verdict::Pass { "below" } else { "above" };
    let mut detail = format!(
        "Anderson–Darling A² = {a2:.2} of {size} exponential gaps, {comparison} the {WARN_A2} of chance"
    );
    if verdict != Verdict::Pass {
        detail += ": the arrivals are no Poisson process; give the generator a processor of its own (--pin)";
    }
    Some(Judgement::new(verdict, detail))
}

fn judge_constant(gaps: &[f64], period_ns: f64) -> Option<Judgement> {
    if gaps.len() < MIN_GAPS {
        return None;
    }
    let mut deviations = gaps.iter().map(|gap| (gap - period_ns).abs()).collect::<Vec<_>>();
    deviations.sort_by(f64::total_cmp);
    let p90 = deviations[deviations.len() * 9 / 10];
    let verdict = Verdict::above(
        p90,
        WARN_NS.max(WARN_PERIODS * period_ns),
        FAIL_NS.max(FAIL_PERIODS * period_ns),
    );
    let mut detail = format!(
        "nine gaps in ten are within {}, {} of the period",
        time(p90 as u64),
        percent(p90 / period_ns)
    );
    if verdict != Verdict::Pass {
        detail += ": requests come in bunches; give the generator a processor of its own (--pin)";
    }
    Some(Judgement::new(verdict, detail))
}

/// Returns A² of values that should be uniform between 0 and 1, for a distribution that is known
/// without estimates (Anderson and Darling 1954; computing formula of D'Agostino and Stephens 1986,
/// equation 4.2).
fn anderson_darling(mut uniform: Vec<f64>) -> f64 {
    // Beyond these limits the logarithms are infinite: an impossible value is infinitely unlikely.
    for u in &mut uniform {
        *u = u.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON);
    }
    uniform.sort_by(f64::total_cmp);
    let n = uniform.len() as f64;
    let pairs = uniform.iter().zip(uniform.iter().rev());
    let weighted = (0..)
        .zip(pairs)
        .map(|(i, (low, high))| f64::from(2 * i + 1) * (low.ln() + (-high).ln_1p()));
    -n - weighted.sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use statrs::function::erf::erfc;

    use super::*;
    use crate::check::fixture::{self, times};
    use crate::schedule::Schedule;

    /// Returns an open loop that should be Poisson, with every send delayed by `delay` of its time.
    fn poisson(delay: impl Fn(u64) -> u64) -> Measurement {
        let mut measured = fixture::open(Arrivals::Poisson);
        measured.arrivals.iter_mut().for_each(|at| *at += delay(*at));
        measured
    }

    /// Returns the delay until the next whole multiple of `step`.
    fn wait_for(step: u64) -> impl Fn(u64) -> u64 {
        move |at| at.next_multiple_of(step) - at
    }

    #[test]
    fn passes_arrivals_of_the_schedule() {
        for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
            assert_eq!(judge(&fixture::open(arrivals)).unwrap().verdict, Verdict::Pass);
        }
    }

    #[test]
    fn passes_lateness_that_the_generator_promises() {
        // The rate is 100,000 requests per second, sent in steps of 5 µs, half of the mean gap.
        let mut measured = fixture::open(Arrivals::Poisson);
        let rate = 1e5;
        measured.workload.pacing =
            Pacing::Open { rate, arrivals: Arrivals::Poisson, seed: 1, spin: Duration::ZERO };
        let schedule = Schedule::new(rate, Arrivals::Poisson, 1, 0, 1).take(MAX_ARRIVALS);
        measured.arrivals = schedule.map(|at| at.next_multiple_of(5_000)).collect();
        measured.times.send_lag = times(&[(5_000, measured.requests.sent)]);
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }

    #[test]
    fn a_generator_that_is_later_than_promised_cannot_excuse_bunches() {
        let mut measured = poisson(wait_for(5_000_000));
        measured.times.send_lag = times(&[(5_000_000, measured.requests.sent)]);
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn warns_of_arrivals_that_are_a_little_too_regular() {
        let verdict = judge(&poisson(wait_for(120_000))).unwrap().verdict;
        assert_eq!(verdict, Verdict::Warn);
    }

    #[test]
    fn fails_bunched_arrivals() {
        assert_eq!(judge(&poisson(wait_for(5_000_000))).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn fails_constant_arrivals_that_should_be_poisson() {
        let mut measured = fixture::open(Arrivals::Poisson);
        measured.arrivals = fixture::open(Arrivals::Constant).arrivals;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn fails_poisson_arrivals_that_should_be_constant_and_warns_of_unevenness() {
        let mut measured = fixture::open(Arrivals::Constant);
        for (at, lag) in measured.arrivals.iter_mut().zip([0, 400_000].into_iter().cycle()) {
            *at += lag;
        }
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Warn);
        measured.arrivals = fixture::open(Arrivals::Poisson).arrivals;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Fail);
    }

    #[test]
    fn says_how_many_found_a_connection_free() {
        let mut measured = fixture::open(Arrivals::Poisson);
        measured.times.send_lag = times(&[(2_000, measured.requests.intended / 5)]);
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Pass);
        assert!(
            judgement.detail.ends_with("; 20 % of requests found a connection free"),
            "{}",
            judgement.detail
        );
    }

    #[test]
    fn does_not_apply_to_a_closed_loop() {
        assert_eq!(judge(&fixture::closed()), None);
    }

    #[test]
    fn anderson_darling_agrees_with_a_calculation_by_hand() {
        // One value in the middle: −1 − 2 ln ½.
        assert!((anderson_darling(vec![0.5]) - (2.0 * 2.0_f64.ln() - 1.0)).abs() < 1e-12);
        // Two values: −2 − ½ [ln ¼ + ln ¼ + 3 (ln ¾ + ln ¾)].
        let two = -2.0 - (0.25_f64.ln() + 3.0 * 0.75_f64.ln());
        assert!((anderson_darling(vec![0.75, 0.25]) - two).abs() < 1e-12);
    }

    #[test]
    fn anderson_darling_exceeds_published_critical_values_as_often_as_published() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let samples = 4000;
        let statistics = (0..samples)
            .map(|_| anderson_darling((0..100).map(|_| random.random::<f64>()).collect()))
            .collect::<Vec<_>>();
        // D'Agostino and Stephens 1986, table 4.2, and three standard deviations of the simulation.
        for (critical, level) in [(1.248, 0.25), (1.933, 0.10), (2.492, 0.05), (3.880, 0.01)] {
            let share =
                statistics.iter().filter(|&&a2| a2 > critical).count() as f64 / f64::from(samples);
            let allowed = 3.0 * (level * (1.0 - level) / f64::from(samples)).sqrt();
            assert!((share - level).abs() < allowed, "{critical}: {share} and not {level}");
        }
    }

    #[test]
    fn the_tail_beyond_the_table_joins_it() {
        let tail = |a2: f64| 3.0_f64.sqrt() * erfc(a2.sqrt());
        for (critical, level) in [(3.880, 0.01), (4.500, 0.005), (WARN_A2, 0.001)] {
            assert!((tail(critical) / level - 1.0).abs() < 0.1, "{critical}: {}", tail(critical));
        }
        assert!((0.9e-6..1.1e-6).contains(&tail(FAIL_A2)));
    }
}
