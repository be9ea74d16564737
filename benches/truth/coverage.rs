//! Coverage of the 95 % confidence intervals of latency percentiles: the share of intervals that
//! hold the truth.
//!
//! Only runs whose interval is shown are counted, by the rule that a [`Summary`] follows. An
//! interval that is shown must hold the truth 90 times in 100, for every process, percentile and
//! length. The interval claims 95; the difference is lost to few degrees of freedom, and to levels
//! that drift more slowly than a section lasts. Nine in ten runs that are long enough must show an
//! interval. In the other runs, a check found no steady state; leaving out more runs would mean
//! choosing the convenient ones.

use std::time::Duration;

use anyhow::{Result, ensure};
use c10k_loadgen::Summary;
use c10k_loadgen::confidence::{Intervals, MIN_LENGTH};

use crate::many;
use crate::simulation::{PROCESSES, Process, RATE};

/// Runs per process and length in a quick run.
const QUICK_RUNS: u64 = 50;

/// Smallest share of the shown intervals that must hold the truth, and of the long enough runs that
/// must show one.
const PROMISED: f64 = 0.9;

/// A percentile: its title, its quantile, and the field of its interval.
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
    /// Number of shown intervals that hold the truth.
    covered: u64,
}

/// Simulates runs, and returns the coverage as a table.
///
/// # Errors
///
/// When shown intervals hold the truth less often than promised, a short run shows one, or too few
/// long runs show one.
pub fn run(quick: bool) -> Result<String> {
    let runs = if quick { QUICK_RUNS } else { many::RUNS };
    let short = Duration::from_secs(10);
    let mut text = head(runs);
    let mut least = 1.0_f64;
    let mut least_shown = 1.0_f64;
    let mut most_shown_of_short = 0.0_f64;
    for process in PROCESSES {
        let truth_ns = process.truth_ns(PERCENTILES.map(|(_, quantile, _)| quantile));
        for length in [short, MIN_LENGTH, 2 * MIN_LENGTH] {
            let counts = count(process, length, truth_ns, runs);
            text += &row(process.name, length, runs, counts);
            least = counts.iter().filter_map(Count::coverage).fold(least, f64::min);
            let shown = counts.map(|count| count.shown as f64 / runs as f64);
            if length == short {
                most_shown_of_short = shown.into_iter().fold(most_shown_of_short, f64::max);
            } else {
                least_shown = shown.into_iter().fold(least_shown, f64::min);
            }
        }
    }
    ensure!(most_shown_of_short <= 0.0, "{text}\nruns of {short:?} show intervals");
    let at_least = PROMISED - many::allowance(PROMISED, runs);
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    ensure!(least >= at_least, "{text}\nonly {} of intervals hold the truth", percent(least));
    ensure!(least_shown >= at_least, "{text}\nonly {} of long runs show one", percent(least_shown));
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

/// Counts the intervals of one row.
fn count(process: &Process, length: Duration, truth_ns: [f64; 3], runs: u64) -> [Count; 3] {
    let mut counts = [Count::default(); 3];
    for intervals in many::runs(runs, |seed| intervals(process, seed, length)) {
        for ((count, (.., of)), truth_ns) in counts.iter_mut().zip(PERCENTILES).zip(truth_ns) {
            count.add(of(&intervals), truth_ns / 1e3);
        }
    }
    counts
}

/// Returns the intervals that a run shows.
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

    /// Returns the share of shown intervals that hold the truth; `None` if none is shown.
    fn coverage(&self) -> Option<f64> {
        (self.shown > 0).then(|| self.covered as f64 / self.shown as f64)
    }
}

fn row(name: &str, length: Duration, runs: u64, counts: [Count; 3]) -> String {
    let most = counts.iter().map(|count| count.shown).max().unwrap_or_default();
    let mut row =
        format!("| {name} | {} s | {:.1} % |", length.as_secs(), 100.0 * most as f64 / runs as f64);
    for count in counts {
        let coverage = count.coverage().map(|share| format!("{:.1} %", share * 100.0));
        row += &format!(" {} |", coverage.unwrap_or_else(|| "–".into()));
    }
    row + "\n"
}
