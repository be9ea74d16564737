//! Counts the verdicts of checks on many runs, for the shares of false alarms.

use c10k_loadgen::check::{CheckOutcome, Verdict};

use crate::many;

/// Largest share of runs without a fault that may fail, and that may warn or fail.
pub const FAILING_AT_MOST: f64 = 0.01;
pub const ALARMING_AT_MOST: f64 = 0.05;

/// Number of runs that a check applies to, and of the runs that it warned of and failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alarms {
    pub runs: u64,
    warned: u64,
    failed: u64,
}

impl Alarms {
    /// Counts the verdicts of the check of that name on each run.
    pub fn count<'a>(judged: impl Iterator<Item = &'a Vec<CheckOutcome>>, name: &str) -> Self {
        let mut alarms = Self::default();
        for outcome in judged.flatten().filter(|outcome| outcome.name == name) {
            alarms.runs += 1;
            alarms.warned += u64::from(outcome.verdict == Verdict::Warn);
            alarms.failed += u64::from(outcome.verdict == Verdict::Fail);
        }
        alarms
    }

    /// True if there are more alarms than promised. Without runs, it is false.
    pub fn are_too_many(self) -> bool {
        let is_above = |count: u64, promised: f64| {
            let most = promised + many::allowance(promised, self.runs);
            self.runs > 0 && count as f64 / self.runs as f64 > most
        };
        is_above(self.failed, FAILING_AT_MOST)
            || is_above(self.failed + self.warned, ALARMING_AT_MOST)
    }

    /// Returns the percentages of warnings and of failures; a dash if the check never applies.
    pub fn describe(self) -> String {
        if self.runs == 0 {
            return "–".into();
        }
        let percent = |count: u64| 100.0 * count as f64 / self.runs as f64;
        format!("{:.1} / {:.1}", percent(self.warned), percent(self.failed))
    }
}
