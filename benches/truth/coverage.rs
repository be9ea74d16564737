//! How often the 95 % confidence intervals of latency percentiles hold the truth.
//!
//! Counted are runs whose interval is shown, by the rule that a [`Summary`] follows: a promise that
//! is kept only together with those that are left out is none. An interval that is shown must hold
//! the truth 90 times in 100, for every process, percentile and length. 95 is what it says; the rest
//! is what few degrees of freedom and levels that drift more slowly than sections take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use c10k_loadgen::Summary;
use c10k_loadgen::confidence::{Intervals, MIN_LENGTH};

use crate::simulation::{PROCESSES, Process, RATE};

/// Runs per process and length.
const RUNS: u64 = 1_000;
const QUICK_RUNS: u64 = 50;

/// The least share of the intervals shown that hold the truth.
const PROMISED: f64 = 0.9;

/// A percentile: its title, its quantile, and where its interval is.
type Percentile = (&'static str, f64, fn(&Intervals) -> Option<[f64; 2]>);

const PERCENTILES: [Percentile; 3] = [
    ("p50", 0.5, |intervals| intervals.p50),
    ("p90", 0.9, |intervals| intervals.p90),
    ("p99", 0.99, |intervals| intervals.p99),
];

/// Intervals of one percentile over many runs.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    shown: u64,
    /// Of those, how many hold the truth.
    covered: u64,
}

/// Simulates runs, and tells the coverage in a table.
///
/// # Errors
///
/// Where intervals that are shown hold the truth less often than promised, or a short run shows one.
pub fn run(quick: bool) -> Result<String> {
    let runs = if quick { QUICK_RUNS } else { RUNS };
    let short = Duration::from_secs(10);
    let mut text = head(runs);
    let (mut least, mut shown_of_short) = (1.0_f64, 0);
    for process in PROCESSES {
        let truth_ns = process.truth_ns(PERCENTILES.map(|(_, quantile, _)| quantile));
        for length in [short, MIN_LENGTH, 2 * MIN_LENGTH] {
            let counts = count(process, length, truth_ns, runs);
            text += &row(process.name, length, runs, counts);
            least = counts.iter().filter_map(Count::coverage).fold(least, f64::min);
            if length == short {
                shown_of_short += counts.iter().map(|count| count.shown).sum::<u64>();
            }
        }
    }
    ensure!(shown_of_short == 0, "{text}\nruns of {short:?} show intervals");
    let allowed = least_of(runs);
    ensure!(least >= allowed, "{text}\nintervals hold the truth {:.1} % of times only", least * 100.0);
    Ok(text)
}

fn head(runs: u64) -> String {
    let titles = PERCENTILES.map(|(title, ..)| format!(" {title} |")).concat();
    format!(
        "Of {runs} runs at {RATE} requests/s, those with a 95 % interval, and how many of these hold \
         the truth:\n\n| process | length | shown |{titles}\n|---|--:|--:|{}\n",
        "--:|".repeat(PERCENTILES.len())
    )
}

/// The runs of one row, on all processors.
fn count(process: &Process, length: Duration, truth_ns: [f64; 3], runs: u64) -> [Count; 3] {
    let next = AtomicU64::new(1);
    let some = || {
        let mut counts = [Count::default(); 3];
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > runs {
                return counts;
            }
            let intervals = intervals(process, seed, length);
            for ((count, (.., of)), truth_ns) in counts.iter_mut().zip(PERCENTILES).zip(truth_ns) {
                count.add(of(&intervals), truth_ns / 1e3);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers = (0..threads).map(|_| scope.spawn(some)).collect::<Vec<_>>();
        let counts = workers.into_iter().map(|worker| worker.join().expect("it does not panic"));
        counts.reduce(|a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]).unwrap_or_default()
    })
}

/// What a run shows.
fn intervals(process: &Process, seed: u64, length: Duration) -> Intervals {
    let summary = Summary::from(&process.run(seed, length, RATE));
    summary.latency_us.ci95.unwrap_or_default()
}

impl Count {
    fn add(&mut self, interval: Option<[f64; 2]>, truth_us: f64) {
        let Some([low, high]) = interval else { return };
        self.shown += 1;
        self.covered += u64::from((low..=high).contains(&truth_us));
    }

    /// The share that holds the truth; none where none is shown.
    fn coverage(&self) -> Option<f64> {
        (self.shown > 0).then(|| self.covered as f64 / self.shown as f64)
    }
}

impl std::ops::Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { shown: self.shown + other.shown, covered: self.covered + other.covered }
    }
}

fn row(name: &str, length: Duration, runs: u64, counts: [Count; 3]) -> String {
    let most = counts.iter().map(|count| count.shown).max().unwrap_or_default();
    let mut row = format!("| {name} | {} s | {:.1} % |", length.as_secs(), 100.0 * most as f64 / runs as f64);
    for count in counts {
        let coverage = count.coverage().map(|share| format!("{:.1} %", share * 100.0));
        row += &format!(" {} |", coverage.unwrap_or_else(|| "–".into()));
    }
    row + "\n"
}

/// The least share that passes. A table of few runs is off by chance, which must not fail it; one of
/// [`RUNS`] says the same each time, and keeps the promise itself.
fn least_of(runs: u64) -> f64 {
    if runs >= RUNS { PROMISED } else { PROMISED - 3.7 * (PROMISED * (1.0 - PROMISED) / runs as f64).sqrt() }
}
