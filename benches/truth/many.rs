//! Many simulated runs on all processors, and the effect of chance on a share of them.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// With at least this number of runs, a share must keep its promise without an allowance. Seeds are
/// fixed, so a table of this size is the same each time. A share of fewer runs is off by chance,
/// and chance must not make it fail.
pub const RUNS: u64 = 1_000;

/// Standard deviations by which a share of fewer runs may be off. Chance exceeds them in one case
/// in 10,000.
const CHANCE: f64 = 3.7;

/// Returns how far a share of this many runs may be from the promised share.
pub fn allowance(promised: f64, runs: u64) -> f64 {
    if runs >= RUNS { 0.0 } else { CHANCE * (promised * (1.0 - promised) / runs as f64).sqrt() }
}

/// Makes a run with each seed below `seeds`, and returns the results in any order.
pub fn runs<T: Send>(seeds: u64, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let work = || {
        let mine = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        mine.take_while(|&seed| seed < seeds).map(&run).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a run does not panic"))
            .collect()
    })
}
