//! Processor time that one side of a measurement lost, and the programs that took it: shared by
//! `generator-cpu-wait` and `server-cpu-wait`.
//!
//! A thread that is ready and does not run waits for a quota, for another program, or for its
//! processor to wake up. The last kind of wait is no loss, but `schedstat` counts it, too: on a
//! virtual machine with nothing else to do, and with server and generator on processors of their
//! own, it was 10 % of the time for which the generator had work in closed loops, 11 to 26 % in
//! open loops of 1,000 requests/s, and up to 43 % at 100. So a wait counts only to the extent that
//! others used the processors meanwhile.

use super::definition::{Verdict, percent};
use crate::measurement::Measurement;

/// Share lost to a quota above which a check warns and fails. A quota is a setting and no noise: a
/// run that stays below it loses nothing to it. If it takes effect, it takes a whole processor away
/// for tens of milliseconds out of each 100, so that even a small share of it determines the p99.
const WARN_QUOTA: f64 = 0.01;
const FAIL_QUOTA: f64 = 0.05;

/// Share lost to others above which a check warns and fails. The first value is the spread of
/// throughput between equal cells on an otherwise idle machine (a coefficient of variation of 9 to
/// 10 %, see METHODOLOGY.md). The second is more than twice that, too much for chance. A closed
/// loop loses at most this share of its throughput, because a generator with time to spare makes up
/// for some of it: at 23 %, one run lost nothing, and at 29 % another lost a third.
const WARN_OTHERS: f64 = 0.10;
const FAIL_OTHERS: f64 = 0.25;

/// Smallest share of the measured part that must be lost to others before a check reports it. For a
/// side that runs for 1 % of the time, one time slice of another program doubles its wait;
/// `send-lag` shows the effect on a latency.
const LEAST_LOST: f64 = 0.05;

/// Error of the time that others used on one processor, in seconds: `/proc/stat` is read twice, and
/// counts in ticks of 10 ms.
const RESOLUTION_S: f64 = 0.02;

/// One side of a measurement on its processors; times in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    /// Processors that it may use.
    pub cpus: &'a [usize],
    /// Most processors that it can use at once.
    pub width: usize,
    /// Length of the measured part.
    pub duration_s: f64,
    pub ran_s: f64,
    pub wait_s: Option<f64>,
    pub others_s: Option<f64>,
    pub idle_s: Option<f64>,
    pub throttled_s: Option<f64>,
}

/// Time that was lost, as shares of the time for which the side ran or would have run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lost {
    pub quota: f64,
    /// True if the loss to a quota is known; an unknown one counts as 0.
    is_quota_known: bool,
    /// Share lost to others; `None` if it is not known.
    pub others: Option<f64>,
    /// Loss to others as a share of the measured part.
    others_of_all: f64,
}

impl Side<'_> {
    /// Returns the time that it lost; `None` if neither a quota nor others are known.
    pub fn lost(&self) -> Option<Lost> {
        let (quota_s, others_s) = (self.lost_to_quota_s(), self.lost_to_others_s());
        let all_s = self.duration_s * self.width as f64;
        if all_s <= 0.0 || (quota_s.is_none() && others_s.is_none()) {
            return None;
        }
        let is_quota_known = quota_s.is_some();
        let quota_s = quota_s.unwrap_or(0.0);
        let wanted_s = self.ran_s + quota_s + others_s.unwrap_or(0.0);
        let share = |lost_s: f64| if wanted_s > 0.0 { lost_s / wanted_s } else { 0.0 };
        let others_of_all = others_s.unwrap_or(0.0) / all_s;
        Some(Lost {
            quota: share(quota_s),
            is_quota_known,
            others: others_s.map(share),
            others_of_all,
        })
    }

    /// Returns the time that the quota took, at most the rest of the measured part: the kernel adds
    /// up all processors, including those that other tasks of the group want.
    fn lost_to_quota_s(&self) -> Option<f64> {
        let left_s = self.duration_s * self.width as f64 - self.ran_s;
        Some(self.throttled_s?.min(left_s.max(0.0)))
    }

    /// Returns the part of the wait during which others used the processors; at most the time that
    /// they used.
    fn lost_to_others_s(&self) -> Option<f64> {
        let (idle_s, used_s) = (self.idle_s?, self.others_used_s()?);
        // Linux 6.18 counts the time that a quota holds a thread back as a wait, too.
        let wait_s = (self.wait_s? - self.lost_to_quota_s().unwrap_or(0.0)).max(0.0);
        let contended_s = if self.cpus.len() <= 1 {
            // A wait coincides either with the time of others or with an idle processor that wakes
            // up.
            if used_s > 0.0 { wait_s * used_s / (used_s + idle_s) } else { 0.0 }
        } else {
            // Ready threads move to an idle processor, so that only the rest of the wait is due to
            // others.
            wait_s - idle_s
        };
        Some(contended_s.clamp(0.0, used_s))
    }

    /// Returns the time that others used for certain.
    fn others_used_s(&self) -> Option<f64> {
        Some((self.others_s? - RESOLUTION_S * self.cpus.len() as f64).max(0.0))
    }

    /// Returns the largest share that others can have taken, for use if the wait is not known.
    pub fn most_lost_to_others(&self) -> Option<f64> {
        let used_s = self.others_used_s().filter(|_| self.wait_s.is_none())?;
        let is_much = used_s > LEAST_LOST * self.duration_s * self.width as f64;
        Some(if is_much { used_s / (used_s + self.ran_s) } else { 0.0 })
    }
}

impl Lost {
    pub fn total(self) -> f64 {
        self.quota + self.others.unwrap_or(0.0)
    }

    pub fn verdict_of_quota(self) -> Verdict {
        Verdict::above(self.quota, WARN_QUOTA, FAIL_QUOTA)
    }

    pub fn verdict_of_others(self) -> Verdict {
        if self.others_of_all < LEAST_LOST {
            return Verdict::Pass;
        }
        Verdict::above(self.others.unwrap_or(0.0), WARN_OTHERS, FAIL_OTHERS)
    }
}

/// Returns true if this share would fail the check if it were known to be lost.
pub(super) fn is_failing(share: f64) -> bool {
    share > FAIL_OTHERS
}

/// Returns a sentence about a side that lost time: the share that it lost, in total and to each
/// rival.
pub(super) fn sentence(side: &str, lost: Lost, quota: &str, others: &str) -> String {
    let parts = [(lost.quota, quota), (lost.others.unwrap_or(0.0), others)];
    let parts = parts.into_iter().filter(|(share, _)| *share >= WARN_QUOTA);
    let parts = parts
        .map(|(share, rival)| format!("{} {rival}", percent(share)))
        .collect::<Vec<_>>()
        .join("; ");
    let mut sentence = format!(
        "{side} was kept from running for {} of the time for which it had work",
        percent(lost.total())
    );
    if !parts.is_empty() {
        sentence += &format!(": {parts}");
    }
    if lost.others.is_none() {
        sentence += "; how long it waited for others is not known";
    }
    if !lost.is_quota_known {
        sentence += "; a CPU quota may have caused a part of it, but could not be checked";
    }
    sentence
}

/// Formats processors as on the command line, after their noun: `processor 1`, `processors 0,2`.
pub(super) fn processors(cpus: &[usize]) -> String {
    let list = cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!("processor{} {list}", if cpus.len() == 1 { "" } else { "s" })
}

/// Returns the worst verdict for time lost to the other side of the measurement on the same
/// processors. If there is no other processor, the loss only warns: there is no remedy, and every
/// measurement on such a machine has it.
pub(super) fn worst_of_sharing(measured: &Measurement) -> Verdict {
    if measured.has_one_processor { Verdict::Warn } else { Verdict::Fail }
}

/// Returns advice for two sides on the same processors.
pub(super) fn apart<'a>(measured: &Measurement, advice: &'a str) -> &'a str {
    if measured.has_one_processor { "there is no other processor" } else { advice }
}

/// Returns the processors that are in both lists.
pub(super) fn shared(some: &[usize], others: &[usize]) -> Vec<usize> {
    some.iter().copied().filter(|cpu| others.contains(cpu)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread that ran for half of a second, alone on its processor.
    const ALONE: Side<'_> = Side {
        cpus: &[1],
        width: 1,
        duration_s: 1.0,
        ran_s: 0.5,
        wait_s: Some(0.0),
        others_s: Some(0.0),
        idle_s: Some(0.5),
        throttled_s: Some(0.0),
    };

    fn lost(side: Side<'_>) -> Lost {
        side.lost().unwrap()
    }

    #[test]
    fn a_wait_for_an_idle_processor_to_wake_up_is_no_loss() {
        let waking = Side { wait_s: Some(0.45), others_s: Some(0.02), ..ALONE };
        assert!(lost(waking).total() < 1e-9, "{:?}", lost(waking));
        let unpinned = Side { cpus: &[0, 1], others_s: Some(0.8), idle_s: Some(0.7), ..waking };
        assert!(lost(unpinned).total() < 1e-9, "{:?}", lost(unpinned));
    }

    #[test]
    fn a_neighbour_takes_what_it_used_while_threads_waited() {
        let halved =
            lost(Side { wait_s: Some(0.5), others_s: Some(0.5), idle_s: Some(0.0), ..ALONE });
        assert!((0.45..0.5).contains(&halved.others.unwrap()), "{halved:?}");
        assert_eq!(halved.verdict_of_others(), Verdict::Fail);
        let unpinned = Side {
            cpus: &[0, 1],
            wait_s: Some(0.5),
            others_s: Some(1.5),
            idle_s: Some(0.0),
            ..ALONE
        };
        assert_eq!(lost(unpinned).verdict_of_others(), Verdict::Fail);
        // Others used the processor while the side had nothing to do.
        let apart = lost(Side { others_s: Some(0.5), idle_s: Some(0.0), ..ALONE });
        assert_eq!(apart.verdict_of_others(), Verdict::Pass);
    }

    #[test]
    fn threads_that_wait_for_each_other_lose_nothing_to_others() {
        let crowd = lost(Side {
            ran_s: 0.97,
            wait_s: Some(40.0),
            others_s: Some(0.03),
            idle_s: Some(0.0),
            ..ALONE
        });
        assert_eq!(crowd.verdict_of_others(), Verdict::Pass, "{crowd:?}");
    }

    #[test]
    fn one_slice_of_another_program_is_not_held_against_a_side_that_hardly_runs() {
        let slice = lost(Side {
            ran_s: 0.01,
            wait_s: Some(0.04),
            others_s: Some(0.06),
            idle_s: Some(0.0),
            ..ALONE
        });
        assert!(slice.others.unwrap() > FAIL_OTHERS);
        assert_eq!(slice.verdict_of_others(), Verdict::Pass);
    }

    #[test]
    fn a_quota_counts_up_to_what_is_left_of_the_time() {
        let held = lost(Side { ran_s: 0.25, throttled_s: Some(1.5), ..ALONE });
        assert!((held.quota - 0.75).abs() < 1e-9, "{held:?}");
        assert_eq!(held.verdict_of_quota(), Verdict::Fail);
        assert_eq!(
            lost(Side { throttled_s: Some(0.01), ..ALONE }).verdict_of_quota(),
            Verdict::Warn
        );
    }

    #[test]
    fn what_a_quota_held_back_is_not_lost_to_others_as_well() {
        let held = Side {
            ran_s: 0.2,
            wait_s: Some(0.6),
            throttled_s: Some(0.6),
            others_s: Some(0.7),
            ..ALONE
        };
        let held = lost(Side { idle_s: Some(0.0), ..held });
        assert!(held.others.unwrap() < 1e-9 && (held.quota - 0.75).abs() < 1e-9, "{held:?}");
    }

    #[test]
    fn nothing_known_is_no_loss_of_zero() {
        let unknown = Side { wait_s: None, others_s: None, throttled_s: None, ..ALONE };
        assert_eq!(unknown.lost(), None);
        let waited = lost(Side { throttled_s: None, ..ALONE });
        assert!(sentence("it", waited, "", "").ends_with("but could not be checked"));
        assert!(!sentence("it", lost(ALONE), "", "").contains("quota"));
        assert_eq!(Side { others_s: Some(0.52), ..unknown }.most_lost_to_others(), Some(0.5));
        assert_eq!(ALONE.most_lost_to_others(), None);
    }
}
