//! Verdicts: conclusions from the blocks of a gate about each metric, and about the candidate as a
//! whole.

use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

use crate::block::{Arm, Block};
use crate::hodges_lehmann;
use crate::margin::Margins;
use crate::power::smallest_detectable;
use crate::series::{self, Quantity, Series, Unjudged};
use crate::sign_flips::{Sided, SignFlips};
use crate::signed_rank::{SignedRanks, interval};

/// Probability of any false alarm among all metrics of all cells of a gate.
pub const FALSE_ALARMS: f64 = 0.01;

/// Probability that the interval of one metric contains its true value. Unlike the verdicts, it is
/// not adjusted for the number of metrics: one in twenty intervals misses the true value.
pub const CONFIDENCE: f64 = 0.95;

/// Level at which failures of the candidate leave a gate undecided: the probability that chance
/// alone makes the candidate fail more, for one series by itself. Failures of identical builds are
/// few, and occur in either arm.
const SUSPECT: f64 = 0.05;

/// Limit in margins: a regression is ruled out only if the upper end of the interval is below it.
pub const RULED_OUT: f64 = 2.0;

/// Verdict on a metric, or on a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Worse by more than the margin, or more failures.
    #[serde(rename = "regressed")]
    Regressed,
    /// Worse, but not shown to be worse by more than the margin.
    #[serde(rename = "changed")]
    Changed,
    /// Better.
    #[serde(rename = "improved")]
    Improved,
    /// Not worse by twice the margin.
    #[serde(rename = "not regressed")]
    NotRegressed,
    /// Noise hides the result.
    #[serde(rename = "undecided")]
    Undecided,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regressed => "regressed",
            Self::Changed => "changed",
            Self::Improved => "improved",
            Self::NotRegressed => "not regressed",
            Self::Undecided => "undecided",
        })
    }
}

impl Verdict {
    /// Returns the exit status of a command with this verdict: 1 for a regression, 3 for undecided,
    /// 0 otherwise.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Regressed => ExitCode::FAILURE,
            Self::Undecided => ExitCode::from(3),
            _ => ExitCode::SUCCESS,
        }
    }
}

/// Judgement of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The series.
    pub series: Series,
    /// Effect on the scale of the series; positive is worse.
    pub estimate: f64,
    /// Interval of the effect at [`CONFIDENCE`]; `None` with too few blocks, and for failures.
    pub interval: Option<(f64, f64)>,
    /// Probability of such an effect by chance if the true effect were at most the margin, adjusted
    /// for all series.
    pub p_beyond_margin: f64,
    /// Probability of such an effect in either direction by chance if there were no true effect,
    /// adjusted for all series.
    pub p_no_effect: f64,
    /// Smallest effect that this gate would have detected in 95 of 100 cases; `None` if it could
    /// detect no effect, and for failures.
    pub smallest_detectable: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
}

/// Judgement of a whole gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Verdict on the candidate as a whole.
    pub verdict: Verdict,
    /// Judgement of each series, failures first.
    pub judged: Vec<Judged>,
    /// Metrics without a verdict.
    pub unjudged: Vec<Unjudged>,
    /// Judgement of each series of the copy of the base; empty if there is no copy.
    pub null: Vec<Judged>,
}

/// Judges the candidate by all blocks. If the gate has a null arm, a series about which both the
/// candidate and the null arm raise an alarm is undecided.
pub fn judge(blocks: &[Block], margins: &Margins, seed: u64) -> Judgement {
    let (series, unjudged) = series::of(blocks, Arm::Candidate, margins);
    let flips = SignFlips::of(blocks.len(), seed);
    let mut judged = judge_all(series, &flips, seed);
    let (null, _) = series::of(blocks, Arm::Null, margins);
    let null = judge_all(null, &flips, seed);
    for one in judged.iter_mut().filter(|one| one.is_alarm()) {
        if same_series(&null, one).is_some_and(Judged::is_alarm) {
            // The alarm would have made the gate regress. Withdrawing the alarm does not clear the
            // candidate.
            one.series.decides |= one.verdict == Verdict::Regressed;
            one.verdict = Verdict::Undecided;
        }
    }
    Judgement::of(judged, unjudged, null)
}

/// Finds the judgement of the same workload and quantity as `one`.
fn same_series<'a>(judged: &'a [Judged], one: &Judged) -> Option<&'a Judged> {
    let is_same = |other: &&Judged| {
        other.series.workload == one.series.workload && other.series.quantity == one.series.quantity
    };
    judged.iter().find(is_same)
}

fn judge_all(series: Vec<Series>, flips: &SignFlips, seed: u64) -> Vec<Judged> {
    let about = |center: fn(&Series) -> f64| -> Vec<SignedRanks> {
        series.iter().map(|one| SignedRanks::about(center(one), &one.values)).collect()
    };
    let beyond_margin = flips.test(&about(|one| one.margin), Sided::Larger);
    let no_effect = flips.test(&about(|_| 0.0), Sided::Both);
    let p_beyond_margin = beyond_margin.adjusted_p.clone();
    let critical = beyond_margin.critical(FALSE_ALARMS);
    let probabilities = p_beyond_margin.into_iter().zip(no_effect.adjusted_p);
    let judged =
        series.into_iter().zip(probabilities).map(|(series, (p_beyond_margin, p_no_effect))| {
            let mut judged = Judged::by_blocks(series, critical, seed);
            (judged.p_beyond_margin, judged.p_no_effect) = (p_beyond_margin, p_no_effect);
            judged.decide();
            judged.series.decides |= judged.is_suspect(flips);
            judged
        });
    judged.collect()
}

impl Judged {
    /// Creates the judgement of a series, without probabilities and verdict yet.
    pub(crate) fn new(series: Series, estimate: f64) -> Self {
        let (p_beyond_margin, p_no_effect) = (1.0, 1.0);
        let verdict = Verdict::Undecided;
        let (interval, smallest_detectable) = (None, None);
        Self {
            series,
            estimate,
            interval,
            p_beyond_margin,
            p_no_effect,
            smallest_detectable,
            verdict,
        }
    }

    /// Estimates the effect of a series, its interval and the smallest detectable effect. Failures
    /// are estimated by their mean: most blocks have no failures, so that only the mean shows those
    /// of the other blocks.
    fn by_blocks(series: Series, critical: f64, seed: u64) -> Self {
        if series.quantity.is_failure() {
            let mean = series.values.iter().sum::<f64>() / series.values.len() as f64;
            return Self::new(series, mean);
        }
        let estimate = hodges_lehmann::estimate(&series.values).unwrap_or(0.0);
        Self {
            interval: interval(&series.values, CONFIDENCE),
            smallest_detectable: smallest_detectable(&series.values, series.margin, critical, seed),
            ..Self::new(series, estimate)
        }
    }

    /// Sets the verdict that follows from the effect, its interval and the probabilities.
    pub(crate) fn decide(&mut self) {
        let differs = self.p_no_effect <= FALSE_ALARMS;
        self.verdict = if self.p_beyond_margin <= FALSE_ALARMS {
            Verdict::Regressed
        } else if differs && self.estimate < 0.0 {
            Verdict::Improved
        } else if self.series.quantity.is_failure() {
            if self.estimate > 0.0 { Verdict::Undecided } else { Verdict::NotRegressed }
        } else if differs {
            Verdict::Changed
        } else if self.is_ruled_out() {
            Verdict::NotRegressed
        } else {
            Verdict::Undecided
        };
    }

    /// Returns true if there are more failures than chance explains, with only this series
    /// considered. A gate that considers many series needs more evidence for a regression.
    fn is_suspect(&self, flips: &SignFlips) -> bool {
        if !self.series.quantity.is_failure() || self.verdict != Verdict::Undecided {
            return false;
        }
        let alone = flips.test(&[SignedRanks::about(0.0, &self.series.values)], Sided::Larger);
        alone.adjusted_p[0] <= SUSPECT
    }

    /// Returns true if it is undecided whether the candidate is worse by more than the margin.
    pub fn is_open(&self) -> bool {
        match self.verdict {
            Verdict::Undecided => true,
            Verdict::Changed => !self.is_ruled_out(),
            _ => false,
        }
    }

    /// Returns the number of blocks in which the server fails more often than the base, such as
    /// `in 1 of 20 blocks`; `None` for metrics.
    pub fn failing_blocks(&self) -> Option<String> {
        let values = &self.series.values;
        let failing = values.iter().filter(|value| **value > 0.0).count();
        self.series
            .quantity
            .is_failure()
            .then(|| format!("in {failing} of {} blocks", values.len()))
    }

    /// Returns true if an effect of twice the margin is above the interval.
    fn is_ruled_out(&self) -> bool {
        self.interval.is_some_and(|(_, high)| high < RULED_OUT * self.series.margin)
    }

    /// Returns true if the series is called worse.
    pub fn is_alarm(&self) -> bool {
        matches!(self.verdict, Verdict::Regressed | Verdict::Changed)
    }

    /// Converts an effect for the worse into a share of the base: the relative increase, or the
    /// relative decrease if more is better, so that no loss is above 100 %. A difference of
    /// failures is already a share.
    pub fn share(&self, effect: f64) -> f64 {
        match self.series.quantity {
            Quantity::Metric { more_is_better: true, .. } => -(-effect).exp_m1(),
            Quantity::Metric { more_is_better: false, .. } => effect.exp_m1(),
            Quantity::FailedRequests | Quantity::FailedCheck(_) => effect,
        }
    }

    /// Returns the effect as the ratio of candidate to base, with its interval; `None` for
    /// differences.
    pub fn ratio(&self) -> Option<Ratio> {
        let Quantity::Metric { more_is_better, .. } = self.series.quantity else { return None };
        let sign = if more_is_better { -1.0 } else { 1.0 };
        let ratio = |effect: f64| (sign * effect).exp();
        let ends = self.interval.map(|(low, high)| (ratio(low), ratio(high)));
        let ends = ends.map(|(a, b)| (a.min(b), a.max(b)));
        Some(Ratio { ratio: ratio(self.estimate), interval: ends })
    }
}

/// Ratio of candidate to base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The estimate.
    pub ratio: f64,
    /// Interval of the ratio; `None` with too few blocks.
    pub interval: Option<(f64, f64)>,
}

impl Judgement {
    /// Creates the judgement of a gate. Any regressed series makes the candidate regressed. The
    /// candidate is cleared only if everything that decides is cleared.
    pub(crate) fn of(judged: Vec<Judged>, unjudged: Vec<Unjudged>, null: Vec<Judged>) -> Self {
        let verdict = if judged.iter().any(|one| one.verdict == Verdict::Regressed) {
            Verdict::Regressed
        } else if !judged.iter().any(|one| one.series.decides)
            || judged.iter().any(|one| one.series.decides && one.is_open())
            || unjudged.iter().any(|one| one.decides)
        {
            Verdict::Undecided
        } else {
            Verdict::NotRegressed
        };
        Self { verdict, judged, unjudged, null }
    }

    /// Returns the names of the workloads: first those whose failures regressed, then the others,
    /// each group in alphabetical order.
    pub fn workloads(&self) -> Vec<&str> {
        let judged = self.judged.iter().map(|one| one.series.workload.as_str());
        let mut names: Vec<&str> =
            judged.chain(self.unjudged.iter().map(|one| one.workload.as_str())).collect();
        let fails = |name: &str| {
            let mut of_it = self.judged_of(name).filter(|one| one.series.quantity.is_failure());
            of_it.any(|one| one.verdict == Verdict::Regressed)
        };
        names.sort_unstable();
        names.dedup();
        names.sort_by_key(|name| !fails(name));
        names
    }

    /// Returns the judgement of the copy of the base that corresponds to `one` of the candidate.
    pub fn null_of(&self, one: &Judged) -> Option<&Judged> {
        same_series(&self.null, one)
    }

    /// Adds the metrics that were left out before the first block, with the reasons given for them.
    pub(crate) fn explain(&mut self, left_out: &[Unjudged]) {
        let is_explained = |one: &Unjudged| {
            left_out.iter().any(|other| other.workload == one.workload && other.key == one.key)
        };
        self.unjudged.retain(|one| !is_explained(one));
        self.unjudged.extend_from_slice(left_out);
    }

    /// Returns all series with this verdict.
    pub fn with(&self, verdict: Verdict) -> Vec<&Judged> {
        self.judged.iter().filter(|one| one.verdict == verdict).collect()
    }

    /// Returns the judgements of one workload.
    pub fn judged_of<'a>(&'a self, workload: &'a str) -> impl Iterator<Item = &'a Judged> {
        self.judged.iter().filter(move |one| one.series.workload == workload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Slice;
    use crate::simulated::{self, CPU, P50, P99, THROUGHPUT};

    fn judged(blocks: &[Block]) -> Judgement {
        judge(blocks, &simulated::margins(), 1)
    }

    fn of<'a>(judgement: &'a Judgement, workload: &str, key: &str) -> &'a Judged {
        let mut all = judgement.judged.iter();
        all.find(|one| one.series.workload == workload && one.series.quantity.key() == key).unwrap()
    }

    fn slowed_down(factor: f64) -> Judgement {
        judged(&simulated::blocks(24, 1, |slice| simulated::slow_down(slice, factor)))
    }

    #[test]
    fn identical_servers_are_not_regressed() {
        let judgement = slowed_down(1.0);
        assert_eq!(judgement.verdict, Verdict::NotRegressed);
        assert_eq!(of(&judgement, "closed", CPU).verdict, Verdict::NotRegressed);
        assert_eq!(judgement.judged.len(), 8);
    }

    #[test]
    fn more_cpu_time_than_the_margin_is_a_regression_of_all_that_follows_from_it() {
        let judgement = slowed_down(1.05);
        assert_eq!(judgement.verdict, Verdict::Regressed);
        for key in [CPU, THROUGHPUT] {
            assert_eq!(of(&judgement, "closed", key).verdict, Verdict::Regressed, "{key}");
        }
        let ratio = of(&judgement, "closed", CPU).ratio().unwrap();
        let (low, high) = ratio.interval.unwrap();
        assert!((ratio.ratio - 1.05).abs() < 0.01 && low < ratio.ratio && ratio.ratio < high);
        let throughput = of(&judgement, "closed", THROUGHPUT).ratio().unwrap();
        assert!(throughput.ratio < 0.97 && throughput.interval.unwrap().1 < 0.98);
    }

    #[test]
    fn a_loss_within_the_margin_is_a_change_and_no_regression() {
        let judgement = slowed_down(1.015);
        assert_eq!(of(&judgement, "closed", CPU).verdict, Verdict::Changed);
        assert_eq!(judgement.verdict, Verdict::NotRegressed);
    }

    #[test]
    fn a_loss_that_may_be_beyond_the_margin_leaves_the_gate_open() {
        let blocks = simulated::blocks(12, 1, |slice| simulated::slow_down(slice, 1.03));
        let judgement = judged(&blocks);
        let cpu = of(&judgement, "closed", CPU);
        assert_eq!((cpu.verdict, cpu.is_open()), (Verdict::Changed, true), "{cpu:?}");
        assert_eq!(judgement.verdict, Verdict::Undecided);
    }

    #[test]
    fn a_gain_is_an_improvement_in_either_direction() {
        let judgement = slowed_down(0.95);
        for key in [CPU, THROUGHPUT, P50] {
            assert_eq!(of(&judgement, "open", key).verdict, Verdict::Improved, "{key}");
        }
        assert_eq!(judgement.verdict, Verdict::NotRegressed);
    }

    #[test]
    fn noise_beyond_twice_the_margin_leaves_a_deciding_metric_undecided() {
        let mut blocks = simulated::blocks(12, 1, |_| {});
        for (place, block) in blocks.iter_mut().enumerate() {
            let factor = if place % 2 == 0 { 1.3 } else { 0.75 };
            simulated::candidate_slices(block, "open")
                .for_each(|slice| simulated::slow_down(slice, factor));
        }
        let judgement = judged(&blocks);
        assert_eq!(of(&judgement, "open", CPU).verdict, Verdict::Undecided);
        assert_eq!(judgement.verdict, Verdict::Undecided);
        let seen = of(&judgement, "open", CPU).smallest_detectable.unwrap();
        assert!(
            seen > 0.1 && seen > 3.0 * of(&judgement, "closed", CPU).smallest_detectable.unwrap()
        );
    }

    #[test]
    fn a_doubled_tail_regresses_and_leaves_the_median_alone() {
        let judgement =
            judged(&simulated::blocks(24, 1, |slice| simulated::scale(slice, P99, 2.0)));
        assert_eq!(judgement.verdict, Verdict::Regressed);
        assert_eq!(of(&judgement, "open", P99).verdict, Verdict::Regressed);
        assert_eq!(of(&judgement, "open", P50).verdict, Verdict::NotRegressed);
    }

    #[test]
    fn failures_of_the_candidate_are_a_regression_and_come_first() {
        let judgement = judged(&simulated::blocks(12, 1, |slice| slice.failed_share = 0.001));
        assert_eq!(judgement.verdict, Verdict::Regressed);
        let first = &judgement.judged[0];
        assert_eq!(
            (first.series.quantity.clone(), first.verdict),
            (Quantity::FailedRequests, Verdict::Regressed)
        );
        assert!((first.estimate - 0.001).abs() < 1e-9 && first.interval.is_none());
        assert_eq!(first.ratio(), None);
    }

    #[test]
    fn a_check_that_only_the_candidate_fails_is_a_regression_and_comes_before_other_workloads() {
        let mut blocks = simulated::blocks(14, 1, |slice| simulated::slow_down(slice, 1.1));
        let starve = |slice: &mut Slice| slice.failed_checks.push("starvation".to_owned());
        for block in &mut blocks {
            simulated::candidate_slices(block, "open").for_each(starve);
        }
        let judgement = judged(&blocks);
        assert_eq!(of(&judgement, "open", "starvation").verdict, Verdict::Regressed);
        assert_eq!(judgement.workloads(), ["open", "closed"]);
    }

    #[test]
    fn failures_of_both_servers_alike_and_of_the_base_alone_are_no_regression() {
        let mut alike = simulated::blocks(12, 1, |slice| slice.failed_share = 0.1);
        let slices =
            alike.iter_mut().flat_map(|block| &mut block.cells).flat_map(|cell| &mut cell.slices);
        slices.for_each(|slice| slice.failed_share = 0.1);
        assert_eq!(judged(&alike).verdict, Verdict::NotRegressed);
        let mut base = simulated::blocks(12, 1, |_| {});
        let slices =
            base.iter_mut().flat_map(|block| &mut block.cells).flat_map(|cell| &mut cell.slices);
        slices.filter(|slice| slice.arm == Arm::Base).for_each(|slice| slice.failed_share = 0.1);
        let judgement = judged(&base);
        assert_eq!(judgement.verdict, Verdict::NotRegressed);
        assert_eq!(judgement.judged[0].verdict, Verdict::Improved);
    }

    /// A failure in one block also occurs with identical builds. Failures in a quarter of the
    /// blocks of one arm hardly do, but among many metrics they are no proof either.
    #[test]
    fn failures_in_some_blocks_leave_the_gate_open_if_chance_hardly_explains_them() {
        let fails_in = |count: usize| {
            let mut blocks = simulated::blocks(20, 1, |_| {});
            for block in &mut blocks[..count] {
                simulated::candidate_slices(block, "open")
                    .for_each(|slice| slice.failed_share = 0.02);
            }
            judged(&blocks)
        };
        let rare = fails_in(1);
        assert_eq!(of(&rare, "open", "failed_requests").verdict, Verdict::Undecided);
        assert_eq!(rare.verdict, Verdict::NotRegressed);
        // By themselves, two failing blocks are not improbable: both of 2 signs are positive in a
        // quarter of all cases.
        let twice = fails_in(2);
        assert_eq!(of(&twice, "open", "failed_requests").verdict, Verdict::Undecided);
        assert_eq!(twice.verdict, Verdict::Undecided);
        let often = fails_in(6);
        assert_eq!(of(&often, "open", "failed_requests").verdict, Verdict::Undecided);
        assert_eq!(often.verdict, Verdict::Undecided);
        assert_eq!(fails_in(16).verdict, Verdict::Regressed);
    }

    #[test]
    fn a_loss_of_a_positive_number_is_a_share_below_one() {
        let judgement = slowed_down(1.0);
        let (cpu, throughput) = (of(&judgement, "open", CPU), of(&judgement, "open", THROUGHPUT));
        assert!(
            (cpu.share(0.8) - 1.2255).abs() < 1e-4 && (throughput.share(0.8) - 0.5507).abs() < 1e-4
        );
        for judged in [cpu, throughput] {
            assert!((judged.share(judged.series.margin) - 0.02).abs() < 1e-12);
        }
    }

    #[test]
    fn an_alarm_that_the_copy_of_the_base_raises_too_is_undecided() {
        let slowed = |arms: &'static [Arm]| {
            let blocks = simulated::blocks_with_null(20, 1, |arm, slice| {
                if arms.contains(&arm) {
                    simulated::slow_down(slice, 1.1);
                }
            });
            judged(&blocks)
        };
        let real = slowed(&[Arm::Candidate]);
        assert_eq!(real.verdict, Verdict::Regressed);
        let false_alarm = slowed(&[Arm::Candidate, Arm::Null]);
        assert_eq!(of(&false_alarm, "open", CPU).verdict, Verdict::Undecided);
        assert_eq!(false_alarm.verdict, Verdict::Undecided);
        let null = slowed(&[Arm::Null]);
        assert_eq!(null.verdict, Verdict::NotRegressed);
        assert!(null.null_of(of(&null, "open", CPU)).is_some_and(Judged::is_alarm));
    }

    #[test]
    fn a_deciding_metric_that_some_blocks_lack_leaves_the_gate_open() {
        let mut blocks = simulated::blocks(24, 1, |_| {});
        simulated::candidate_slices(&mut blocks[0], "open").for_each(|slice| {
            slice.metrics.remove(CPU);
        });
        assert_eq!(judged(&blocks).verdict, Verdict::Undecided);
    }

    #[test]
    fn too_few_blocks_regress_nothing_and_detect_nothing() {
        let judgement = judged(&simulated::blocks(6, 1, |slice| simulated::slow_down(slice, 1.5)));
        assert_eq!(judgement.verdict, Verdict::Undecided);
        assert!(judgement.judged.iter().all(|one| one.smallest_detectable.is_none()));
        assert_eq!(judged(&[]).verdict, Verdict::Undecided);
    }

    /// Returns the judgements of 300 gates of 13 blocks, for which all combinations of signs are
    /// tried.
    fn gates(factor: f64) -> Vec<Judgement> {
        let gate = |seed| simulated::blocks(13, seed, |slice| simulated::slow_down(slice, factor));
        (0..300).map(|seed| judge(&gate(seed), &simulated::margins(), seed)).collect()
    }

    fn count(gates: &[Judgement], is: impl Fn(&Judged) -> bool) -> usize {
        gates.iter().filter(|gate| gate.judged.iter().any(&is)).count()
    }

    /// At a rate of 1 %, 300 gates have more than 9 alarms in 2 of 1,000 cases.
    #[test]
    fn gates_of_identical_servers_alarm_as_rarely_as_they_say() {
        let gates = gates(1.0);
        assert_eq!(count(&gates, |one| one.verdict == Verdict::Regressed), 0);
        let any = count(&gates, |one| one.p_no_effect <= FALSE_ALARMS);
        assert!(any <= 9, "{any} of 300");
    }

    /// The hardest case of a one-sided test: the effect is the margin itself.
    #[test]
    fn gates_of_servers_at_their_margins_alarm_as_rarely_as_they_say() {
        let alarms = count(&gates(1.02), |one| one.verdict == Verdict::Regressed);
        assert!(alarms <= 9, "{alarms} of 300");
    }

    #[test]
    fn gates_find_changes_of_their_smallest_detectable_size() {
        let gates = gates(1.05);
        let found = count(&gates, |one| one.verdict == Verdict::Regressed);
        assert!(found >= 285, "{found} of 300");
        // Half of the gates report less than the median. A change of the size of the median is
        // found in 95 of 100 gates.
        let mut seen: Vec<f64> =
            gates.iter().filter_map(|gate| of(gate, "closed", CPU).smallest_detectable).collect();
        seen.sort_unstable_by(f64::total_cmp);
        let smallest = seen[seen.len() / 2];
        let of_that_size = self::gates(smallest.exp());
        let regressed = |gate: &&Judgement| of(gate, "closed", CPU).verdict == Verdict::Regressed;
        let found = of_that_size.iter().filter(regressed).count();
        assert!(found >= 285, "{found} of 300 found {smallest}");
    }
}
