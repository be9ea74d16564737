//! Verdicts: what the blocks of a gate say of each metric, and of the candidate as a whole.

use std::fmt;

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

/// Probability that the interval of one metric has its true value.
pub const CONFIDENCE: f64 = 0.95;

/// Margins above which the upper end of an interval does not rule a regression out.
const RULED_OUT: f64 = 2.0;

/// What is said of a metric, or of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Worse by more than its margin.
    #[serde(rename = "regressed")]
    Regressed,
    /// Worse, and not shown to be so by more than its margin.
    #[serde(rename = "changed")]
    Changed,
    /// Better.
    #[serde(rename = "improved")]
    Improved,
    /// Not worse by twice its margin.
    #[serde(rename = "not regressed")]
    NotRegressed,
    /// The noise hides it.
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

/// What the blocks say of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The series.
    pub series: Series,
    /// Its effect on the scale of the series; positive is worse.
    pub estimate: f64,
    /// Interval of the effect at [`CONFIDENCE`]; none of too few blocks.
    pub interval: Option<(f64, f64)>,
    /// Probability of such an effect by chance if it were its margin at most, adjusted for all series.
    pub p_beyond_margin: f64,
    /// Probability of such an effect in either direction by chance if there were none, adjusted.
    pub p_no_effect: f64,
    /// Smallest effect that this gate would have seen in 95 of 100 cases; none where it could see none.
    pub smallest_detectable: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
}

/// What the blocks of a gate say.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Of the candidate as a whole.
    pub verdict: Verdict,
    /// Of each series.
    pub judged: Vec<Judged>,
    /// Metrics without a verdict.
    pub unjudged: Vec<Unjudged>,
}

/// Judges the candidate by all blocks. Where the gate has a null arm, what that one alarms about is
/// undecided.
pub fn judge(blocks: &[Block], margins: &Margins, seed: u64) -> Judgement {
    let (series, unjudged) = series::of(blocks, Arm::Candidate, margins);
    let flips = SignFlips::of(blocks.len(), seed);
    let mut judged = judge_all(series, &flips, seed);
    let (null, _) = series::of(blocks, Arm::Null, margins);
    let alarms = judge_all(null, &flips, seed);
    for one in judged.iter_mut().filter(|one| one.is_alarm()) {
        let same = |null: &&Judged| {
            null.series.workload == one.series.workload && null.series.quantity == one.series.quantity
        };
        if alarms.iter().find(same).is_some_and(Judged::is_alarm) {
            one.verdict = Verdict::Undecided;
        }
    }
    Judgement { verdict: overall(&judged), judged, unjudged }
}

/// A regression anywhere is one of the candidate; it is cleared only where all that decides is.
fn overall(judged: &[Judged]) -> Verdict {
    let undecided = |one: &Judged| {
        let open =
            one.verdict == Verdict::Undecided || (one.verdict == Verdict::Changed && !one.is_ruled_out());
        one.series.decides && open
    };
    let decides = judged.iter().any(|one| one.series.decides);
    if judged.iter().any(|one| one.verdict == Verdict::Regressed) {
        Verdict::Regressed
    } else if !decides || judged.iter().any(undecided) {
        Verdict::Undecided
    } else {
        Verdict::NotRegressed
    }
}

fn judge_all(series: Vec<Series>, flips: &SignFlips, seed: u64) -> Vec<Judged> {
    let about = |center: fn(&Series) -> f64| -> Vec<SignedRanks> {
        series.iter().map(|one| SignedRanks::about(center(one), &one.values)).collect()
    };
    let beyond_margin = about(|one| one.margin);
    let p_beyond_margin = flips.adjusted_p(&beyond_margin, Sided::Larger);
    let p_no_effect = flips.adjusted_p(&about(|_| 0.0), Sided::Both);
    let critical = flips.critical(&beyond_margin, Sided::Larger, FALSE_ALARMS);
    let probabilities = p_beyond_margin.into_iter().zip(p_no_effect);
    let judged = series.into_iter().zip(probabilities).map(|(series, (p_beyond_margin, p_no_effect))| {
        let mut judged = Judged {
            estimate: hodges_lehmann::estimate(&series.values).unwrap_or(0.0),
            interval: interval(&series.values, CONFIDENCE),
            smallest_detectable: smallest_detectable(&series.values, series.margin, critical, seed),
            p_beyond_margin,
            p_no_effect,
            verdict: Verdict::Undecided,
            series,
        };
        judged.verdict = judged.decide();
        judged
    });
    judged.collect()
}

impl Judged {
    fn decide(&self) -> Verdict {
        let differs = self.p_no_effect <= FALSE_ALARMS;
        if self.p_beyond_margin <= FALSE_ALARMS {
            Verdict::Regressed
        } else if matches!(self.series.quantity, Quantity::FailedRequests | Quantity::FailedCheck(_)) {
            Verdict::NotRegressed
        } else if differs && self.estimate < 0.0 {
            Verdict::Improved
        } else if differs && self.estimate <= self.series.margin {
            Verdict::Changed
        } else if self.is_ruled_out() {
            Verdict::NotRegressed
        } else {
            Verdict::Undecided
        }
    }

    /// Whether an effect of twice the margin is outside the interval.
    fn is_ruled_out(&self) -> bool {
        self.interval.is_some_and(|(_, high)| high < RULED_OUT * self.series.margin)
    }

    fn is_alarm(&self) -> bool {
        matches!(self.verdict, Verdict::Regressed | Verdict::Changed)
    }

    /// The effect as the ratio of candidate to base, with its interval; none for differences.
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
    /// Its interval; none of too few blocks.
    pub interval: Option<(f64, f64)>,
}

impl Judgement {
    /// Names of the workloads, in alphabetical order.
    pub fn workloads(&self) -> Vec<&str> {
        let judged = self.judged.iter().map(|one| one.series.workload.as_str());
        let mut names: Vec<&str> =
            judged.chain(self.unjudged.iter().map(|one| one.workload.as_str())).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Gives the reasons of metrics that were left out before the first block.
    pub(crate) fn explain(&mut self, left_out: &[Unjudged]) {
        let is_explained = |one: &Unjudged| {
            left_out.iter().any(|other| other.workload == one.workload && other.key == one.key)
        };
        self.unjudged.retain(|one| !is_explained(one));
        self.unjudged.extend_from_slice(left_out);
    }

    /// What is judged of one workload.
    pub fn judged_of<'a>(&'a self, workload: &'a str) -> impl Iterator<Item = &'a Judged> {
        self.judged.iter().filter(move |one| one.series.workload == workload)
    }
}
