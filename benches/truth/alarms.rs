//! Counts what checks say of many runs, for the shares of false alarms.

use c10k_loadgen::check::{CheckOutcome, Verdict};

use crate::many;

/// The most runs without a fault that may fail, and that may warn or fail.
pub const FAILING_AT_MOST: f64 = 0.01;
pub const ALARMING_AT_MOST: f64 = 0.05;

/// Of the runs that a check applies to, how many it warned of, and how many it failed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alarms {
    pub runs: u64,
    warned: u64,
    failed: u64,
}

impl Alarms {
    /// Of what the check of that name says of each run.
    pub fn count<'a>(judged: impl Iterator<Item = &'a Vec<CheckOutcome>>, name: &str) -> Self {
        let mut alarms = Self::default();
        for outcome in judged.flatten().filter(|outcome| outcome.name == name) {
            alarms.runs += 1;
            alarms.warned += u64::from(outcome.verdict == Verdict::Warn);
            alarms.failed += u64::from(outcome.verdict == Verdict::Fail);
        }
        alarms
    }

    /// Whether there are more than promised; no runs tell nothing.
    pub fn are_too_many(self) -> bool {
        let is_above = |count: u64, promised: f64| {
            let most = promised + many::allowance(promised, self.runs);
            self.runs > 0 && count as f64 / self.runs as f64 > most
        };
        is_above(self.failed, FAILING_AT_MOST) || is_above(self.failed + self.warned, ALARMING_AT_MOST)
    }

    /// Percentages of warnings and of failures; a dash where the check never applies.
    pub fn describe(self) -> String {
        if self.runs == 0 {
            return "–".into();
        }
        let percent = |count: u64| 100.0 * count as f64 / self.runs as f64;
        format!("{:.1} / {:.1}", percent(self.warned), percent(self.failed))
    }
}
