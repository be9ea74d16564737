//! Reasons why a gate is undecided. Every output gives the same reasons, in its own words.

use crate::power::fewest_blocks;
use crate::series::Unjudged;
use crate::verdict::{FALSE_ALARMS, Judged, Judgement};

/// A reason why a gate is undecided, with the metrics that it applies to.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason<'a> {
    /// The candidate fails more often than its base, but in too few blocks for a regression.
    Failures(Vec<&'a Judged>),
    /// There are too few blocks to detect any change of these metrics.
    TooFewBlocks {
        /// Number of judged series.
        metrics: usize,
        /// Number of blocks that would be enough.
        needed: u32,
    },
    /// The copy of the base raises an alarm about these metrics, too.
    CopyAlarms(Vec<&'a Judged>),
    /// Noise hides the result of these metrics.
    Noise(Vec<&'a Judged>),
    /// Metrics that some blocks lack.
    Lacking(Vec<&'a Unjudged>),
    /// No deciding metric was measured.
    NothingDecides,
}

/// Returns all reasons why the gate is undecided, failures first.
pub fn all(judgement: &Judgement) -> Vec<Reason<'_>> {
    let open = judgement.judged.iter().filter(|one| one.series.decides && one.is_open());
    let (failures, metrics): (Vec<&Judged>, Vec<&Judged>) =
        open.partition(|one| one.series.quantity.is_failure());
    let lacking: Vec<&Unjudged> = judgement.unjudged.iter().filter(|one| one.decides).collect();
    let mut reasons = Vec::new();
    if !failures.is_empty() {
        reasons.push(Reason::Failures(failures));
    }
    reasons.extend(of_metrics(judgement, metrics));
    if !lacking.is_empty() {
        reasons.push(Reason::Lacking(lacking));
    }
    if reasons.is_empty() {
        reasons.push(Reason::NothingDecides);
    }
    reasons
}

/// Returns the reasons why the metrics in `open` are undecided.
fn of_metrics<'a>(judgement: &'a Judgement, open: Vec<&'a Judged>) -> Vec<Reason<'a>> {
    let sees = judgement.judged.iter().any(|one| one.smallest_detectable.is_some());
    if !sees && !open.is_empty() {
        let metrics = judgement.judged.len();
        return vec![Reason::TooFewBlocks {
            metrics,
            needed: fewest_blocks(metrics, FALSE_ALARMS),
        }];
    }
    let alarms = |one: &&Judged| judgement.null_of(one).is_some_and(Judged::is_alarm);
    let (copy_alarms, noise): (Vec<&Judged>, Vec<&Judged>) = open.into_iter().partition(alarms);
    let reasons = [Reason::CopyAlarms(copy_alarms), Reason::Noise(noise)];
    let is_any = |reason: &Reason<'_>| match reason {
        Reason::CopyAlarms(of) | Reason::Noise(of) => !of.is_empty(),
        _ => true,
    };
    reasons.into_iter().filter(is_any).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Arm, Block};
    use crate::simulated::{self, CPU};
    use crate::verdict::{Verdict, judge};

    /// Returns the kind of each reason, with its metrics as `workload: key`.
    fn reasons(blocks: &[Block]) -> Vec<(&'static str, Vec<String>)> {
        let judgement = judge(blocks, &simulated::margins(), 1);
        assert_eq!(judgement.verdict, Verdict::Undecided);
        let keys = |of: Vec<&Judged>| {
            of.iter()
                .map(|one| format!("{}: {}", one.series.workload, one.series.quantity.key()))
                .collect()
        };
        let told = all(&judgement).into_iter().map(|reason| match reason {
            Reason::Failures(of) => ("failures", keys(of)),
            Reason::TooFewBlocks { metrics, needed } => {
                ("too few", vec![format!("{metrics}: {needed}")])
            }
            Reason::CopyAlarms(of) => ("copy", keys(of)),
            Reason::Noise(of) => ("noise", keys(of)),
            Reason::Lacking(of) => {
                ("lacking", of.iter().map(|one| format!("{}: {}", one.workload, one.key)).collect())
            }
            Reason::NothingDecides => ("nothing", Vec::new()),
        });
        told.collect()
    }

    #[test]
    fn a_metric_that_a_block_lacks_is_the_only_reason_if_all_else_is_clear() {
        let mut blocks = simulated::blocks(24, 1, |_| {});
        simulated::candidate_slices(&mut blocks[0], "open").for_each(|slice| {
            slice.metrics.remove(CPU);
        });
        assert_eq!(reasons(&blocks), [("lacking", vec![format!("open: {CPU}")])]);
    }

    #[test]
    fn what_fails_is_no_noise() {
        let mut blocks = simulated::blocks(24, 1, |_| {});
        for block in &mut blocks[..3] {
            simulated::candidate_slices(block, "open").for_each(|slice| slice.failed_share = 0.1);
        }
        assert_eq!(reasons(&blocks), [("failures", vec!["open: failed_requests".to_owned()])]);
    }

    #[test]
    fn an_alarm_of_the_copy_is_no_noise() {
        let blocks = simulated::blocks_with_null(20, 1, |arm, slice| {
            if arm != Arm::Base {
                simulated::slow_down(slice, 1.1);
            }
        });
        let reasons = reasons(&blocks);
        assert_eq!((reasons.len(), reasons[0].0), (1, "copy"), "{reasons:?}");
        assert!(reasons[0].1.contains(&format!("closed: {CPU}")), "{reasons:?}");
    }

    #[test]
    fn noise_and_too_few_blocks_are_distinguished() {
        let slower = |count| simulated::blocks(count, 1, |slice| simulated::slow_down(slice, 1.03));
        assert!(reasons(&slower(12)).iter().all(|(reason, _)| *reason == "noise"));
        assert_eq!(reasons(&slower(6)), [("too few", vec!["8: 10".to_owned()])]);
        assert_eq!(reasons(&[]), [("nothing", Vec::new())]);
    }
}
