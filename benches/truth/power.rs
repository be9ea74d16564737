//! Share of faults that the checks find.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use c10k_loadgen::Measurement;
use c10k_loadgen::check::{self, CheckOutcome, Verdict};
use c10k_loadgen::measurement::Silence;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::many;
use crate::simulation::closed::closed;
use crate::simulation::level::{self, Level};

/// Smallest share of faults that must be found on a machine with a steady level.
const FOUND_AT_LEAST: f64 = 0.9;

/// Requests per second of the closed loops.
const RPS: f64 = 20_000.0;

/// The checks that find a fault in the course of a run.
const CHECKS: [&str; 2] = ["silence", "steady-state"];

/// A fault within a closed loop.
struct Fault {
    name: &'static str,
    length_s: f64,
    level: fn() -> Level,
    /// Start and end of the time in which the server is dead, in seconds.
    dead_s: Option<(f64, f64)>,
    /// True if the fault has to be found.
    is_promised: bool,
}

impl Fault {
    const fn of(name: &'static str, length_s: f64, level: fn() -> Level) -> Self {
        Self { name, length_s, level, dead_s: None, is_promised: true }
    }

    const fn dead(name: &'static str, length_s: f64, from_s: f64, to_s: f64) -> Self {
        Self {
            name,
            length_s,
            level: level::steady,
            dead_s: Some((from_s, to_s)),
            is_promised: true,
        }
    }

    const fn without_promise(self) -> Self {
        Self { is_promised: false, ..self }
    }

    /// Simulates a run with the fault, on a machine with a level of its own.
    fn run(&self, seed: u64, mut machine: Level) -> Measurement {
        let mut fault = (self.level)();
        let dead_s = self.dead_s;
        let is_dead =
            move |at_s: f64| dead_s.is_some_and(|(from_s, to_s)| (from_s..to_s).contains(&at_s));
        let level: Level =
            Box::new(move |at_s| if is_dead(at_s) { 0.0 } else { fault(at_s) * machine(at_s) });
        let length = Duration::from_secs_f64(self.length_s);
        let mut measured = closed(level, seed, length, RPS);
        // The silence that the generator's workers would record. Tests with servers that stop show
        // that they do.
        if let Some((from_s, to_s)) = self.dead_s {
            let length = Duration::from_secs_f64(to_s - from_s);
            measured.silence =
                Silence { begin: Duration::from_secs_f64(from_s), length, awake: length };
        }
        measured
    }
}

const FAULTS: [Fault; 14] = [
    Fault::of("halves at 5 of 10 s", 10.0, || level::step(5.0, 1.0, 0.5)),
    Fault::of("halves at 3 of 10 s", 10.0, || level::step(3.0, 1.0, 0.5)),
    Fault::of("halves at 7 of 10 s", 10.0, || level::step(7.0, 1.0, 0.5)),
    Fault::of("halves at 15 of 30 s", 30.0, || level::step(15.0, 1.0, 0.5)),
    Fault::of("halves at 0.3 of 0.6 s", 0.6, || level::step(0.3, 1.0, 0.5)),
    Fault::of("loses 35 % at 5 of 10 s", 10.0, || level::step(5.0, 1.0, 0.65)).without_promise(),
    Fault::of("slides to half in 10 s", 10.0, || level::slide(10.0, 1.0, 0.5)),
    Fault::of("slides to 65 % in 10 s", 10.0, || level::slide(10.0, 1.0, 0.65)).without_promise(),
    Fault::dead("is dead for the last 2 of 10 s", 10.0, 8.0, 10.0),
    Fault::dead("is dead for the last 3 of 10 s", 10.0, 7.0, 10.0),
    Fault::dead("is dead for the last 5 of 10 s", 10.0, 5.0, 10.0),
    Fault::dead("is dead from 4 to 6 of 10 s", 10.0, 4.0, 6.0),
    Fault::dead("is dead for half of 6 s", 6.0, 3.0, 6.0),
    Fault::dead("is dead for half of 0.6 s", 0.6, 0.3, 0.6),
];

/// Returns the level of a steady machine.
fn steady(_seed: u64) -> Level {
    level::steady()
}

/// Returns the level of a noisy machine: each stretch is off by 10 %, independently of the others.
fn noisy(seed: u64) -> Level {
    let noise = Normal::new(1.0, 0.1).expect("a deviation is above zero");
    let mut random = ChaCha8Rng::seed_from_u64(!seed);
    Box::new(move |_| f64::max(noise.sample(&mut random), 0.0))
}

/// Returns the level of a machine that drifts.
fn drifting(seed: u64) -> Level {
    level::drifting(0.2, 0.9, &mut ChaCha8Rng::seed_from_u64(!seed))
}

/// Judges many runs with each fault, on machines of three kinds.
///
/// # Errors
///
/// When a fault on a steady machine is found less often than promised.
pub fn run(quick: bool) -> Result<String> {
    let runs = if quick { 50 } else { 300 };
    let mut text = format!(
        "Faults that are found (fail / warn or fail), in % of {runs} closed loops, on a machine that \
         is steady, noisy (each stretch by 10 %), or drifts (AR(1) 0.9 per second, 20 %):\n\n\
         | the server | `silence`, steady | `steady-state`, steady | either, steady | either, noisy \
         | either, drifting |\n|---|--:|--:|--:|--:|--:|\n"
    );
    let mut missed = Vec::new();
    for fault in &FAULTS {
        let judged = |machine: fn(u64) -> Level| {
            many::runs(runs, |seed| check::outcomes(&fault.run(seed, machine(seed))))
        };
        let quiet = judged(steady);
        let [silence, steady_state] = CHECKS.map(|check| found(&quiet, &[check]));
        let [either, noisy, drifting] =
            [quiet, judged(noisy), judged(drifting)].map(|judged| found(&judged, &CHECKS));
        if fault.is_promised && either.0 < FOUND_AT_LEAST {
            missed.push(fault.name);
        }
        let cells = [silence, steady_state, either, noisy, drifting]
            .map(|(failed, alarmed)| format!(" {:.0} / {:.0} |", 100.0 * failed, 100.0 * alarmed));
        writeln!(text, "| {} |{}", fault.name, cells.concat())?;
    }
    ensure!(missed.is_empty(), "{text}\nFound too rarely: {}", missed.join(", "));
    Ok(text)
}

/// Returns the share of runs that one of the checks failed, and the share that one of them failed
/// or warned of.
fn found(judged: &[Vec<CheckOutcome>], checks: &[&str]) -> (f64, f64) {
    let share = |least: Verdict| {
        let finds =
            |outcome: &CheckOutcome| checks.contains(&&*outcome.name) && outcome.verdict >= least;
        let found = judged.iter().filter(|outcomes| outcomes.iter().any(finds)).count();
        found as f64 / judged.len() as f64
    };
    (share(Verdict::Fail), share(Verdict::Warn))
}
