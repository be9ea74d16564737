//! Counts what checks say of many simulated runs, for the shares of false alarms and of faults found.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use c10k_loadgen::Measurement;
use c10k_loadgen::check::{self, CheckOutcome, Verdict};

/// The most runs without a fault that may fail, and that may warn or fail.
pub const FAILING_AT_MOST: f64 = 0.01;
pub const ALARMING_AT_MOST: f64 = 0.05;

/// Standard deviations by which a share that rests on few runs may be off: one case in 10,000.
const CHANCE: f64 = 3.7;

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

    /// Whether there are more than promised, chance allowed for.
    pub fn are_too_many(self) -> bool {
        let is_above = |count: u64, share: f64| {
            let runs = self.runs as f64;
            count as f64 / runs > share + CHANCE * (share * (1.0 - share) / runs).sqrt()
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

/// What the checks say of a run for each seed, on all processors.
pub fn outcomes(runs: u64, run: impl Fn(u64) -> Measurement + Sync) -> Vec<Vec<CheckOutcome>> {
    let next = AtomicU64::new(0);
    let work = || {
        let seeds =
            std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < runs));
        seeds.map(|seed| check::outcomes(&run(seed))).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run is judged")).collect()
    })
}
