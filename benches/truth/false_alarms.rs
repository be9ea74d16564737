//! Rate at which checks alarm on runs in which nothing was wrong.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use c10k_loadgen::{Measurement, check};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::alarms::{ALARMING_AT_MOST, Alarms, FAILING_AT_MOST};
use crate::many;
use crate::simulation::closed::closed;
use crate::simulation::{PROCESSES, RATE, level};

/// Checks whose verdict depends on chance here. Simulated requests are all sent with the same lag,
/// so `send-lag` is left to real runs.
const CHECKS: [&str; 3] = ["silence", "steady-state", "arrivals"];

/// Checks of closed loops, which are simulated by counts and not by responses.
const CHECKS_OF_COUNTS: [&str; 1] = ["steady-state"];

/// Lengths of runs, in seconds.
const LENGTHS_S: [f64; 3] = [1.2, 10.0, 30.0];

/// Requests per second of a closed loop.
const CLOSED_RPS: f64 = 20_000.0;

/// Function from a seed and a length to a run without a fault.
type Honest = Box<dyn Fn(u64, Duration) -> Measurement + Sync>;

/// Runs without a fault, and the checks that can alarm on them.
struct Process {
    name: String,
    run: Honest,
    checks: &'static [&'static str],
}

/// Judges many runs of each process and returns the shares of alarms as a table.
///
/// # Errors
///
/// When a check alarms more often than promised.
pub fn run(quick: bool) -> Result<String> {
    let runs = if quick { 100 } else { many::RUNS };
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
    for Process { name, run, checks } in processes() {
        let judged = LENGTHS_S
            .map(Duration::from_secs_f64)
            .map(|length| many::runs(runs, |seed| check::outcomes(&run(seed, length))));
        for (check, rows) in
            CHECKS.iter().zip(&mut rows).filter(|(check, _)| checks.contains(check))
        {
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

/// Returns open loops of each process, and closed loops at a level that is steady or drifts.
fn processes() -> Vec<Process> {
    let open = PROCESSES.iter().map(|process| {
        let run = |seed, length| process.run(seed, length, RATE);
        Process { name: process.name.into(), run: Box::new(run), checks: &CHECKS }
    });
    let steady = |seed, length| closed(level::steady(), seed, length, CLOSED_RPS);
    let drifting = |seed: u64, length| {
        let mut random = ChaCha8Rng::seed_from_u64(!seed);
        closed(level::drifting(0.2, 0.9, &mut random), seed, length, CLOSED_RPS)
    };
    let of_counts = |name: &str, run| Process { name: name.into(), run, checks: &CHECKS_OF_COUNTS };
    let closed = [
        of_counts("closed loop, steady", Box::new(steady) as Honest),
        of_counts("closed loop, a level that drifts", Box::new(drifting)),
    ];
    open.chain(closed).collect()
}
