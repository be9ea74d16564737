//! How often checks alarm on runs in which nothing was wrong.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use c10k_loadgen::Measurement;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::alarms::{self, ALARMING_AT_MOST, Alarms, FAILING_AT_MOST};
use crate::simulation::closed::closed;
use crate::simulation::{PROCESSES, RATE, level};

/// The checks whose verdict rests on chance here. Simulated requests are all sent with the same lag,
/// so `send-lag` is left to real runs.
const CHECKS: [&str; 3] = ["silence", "steady-state", "arrivals"];

/// Lengths of runs, in seconds.
const LENGTHS_S: [f64; 3] = [1.2, 10.0, 30.0];

/// Requests per second of a closed loop.
const CLOSED_RPS: f64 = 20_000.0;

/// A run without a fault, by seed and length.
type Honest = Box<dyn Fn(u64, Duration) -> Measurement + Sync>;

/// Judges many runs of each process and tells the shares of alarms.
///
/// # Errors
///
/// Where a check alarms more often than promised.
pub fn run(quick: bool) -> Result<String> {
    let runs = if quick { 100 } else { 1_000 };
    let mut text = format!(
        "Runs in % that warn / fail although nothing was wrong, of {runs} (at most {} % may fail, \
         {} % warn or fail):\n\n| check | process |",
        100.0 * FAILING_AT_MOST,
        100.0 * ALARMING_AT_MOST
    );
    LENGTHS_S.iter().try_for_each(|length| write!(text, " {length} s |"))?;
    writeln!(text, "\n|---|---|{}", "--:|".repeat(LENGTHS_S.len()))?;
    let mut rows = CHECKS.map(|_| String::new());
    let mut broken = Vec::new();
    for (name, run) in processes() {
        let judged = LENGTHS_S
            .map(|length_s| alarms::outcomes(runs, |seed| run(seed, Duration::from_secs_f64(length_s))));
        for (check, rows) in CHECKS.iter().zip(&mut rows) {
            let alarms = judged.each_ref().map(|runs| Alarms::count(runs.iter(), check));
            if alarms.iter().any(|alarms| alarms.are_too_many()) {
                broken.push(format!("{check} on {name}"));
            }
            if alarms.iter().any(|alarms| alarms.runs > 0) {
                let cells = alarms.map(|alarms| format!(" {} |", alarms.describe()));
                writeln!(rows, "| `{check}` | {name} |{}", cells.concat())?;
            }
        }
    }
    text += &rows.concat();
    ensure!(broken.is_empty(), "{text}\nToo many alarms: {}", broken.join(", "));
    Ok(text)
}

/// Open loops of each process, and closed ones at a level that stands or wanders.
fn processes() -> Vec<(String, Honest)> {
    let open = PROCESSES.iter().map(|process| {
        let run = |seed, length| process.run(seed, length, RATE);
        (process.name.to_owned(), Box::new(run) as Honest)
    });
    let steady = |seed, length| closed(level::steady(), seed, length, CLOSED_RPS);
    let drifting = |seed, length| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        closed(level::drifting(0.2, 0.9, &mut random), seed, length, CLOSED_RPS)
    };
    let closed: [(String, Honest); 2] = [
        ("closed loop, steady".into(), Box::new(steady)),
        ("closed loop, a level that drifts".into(), Box::new(drifting)),
    ];
    open.chain(closed).collect()
}
