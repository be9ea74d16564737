//! Disturbances: things other than the server that decided the result of a measurement. These are
//! other programs on the processors of the server or of the generator, a host that took the
//! processors away, and a machine that was slower than before.

use c10k_loadgen::check::Effect;
use c10k_reports::record::{Outcome, Record};

use crate::machine_speed;

/// Key of the reading of the time that the host took from this machine.
const STEAL: &str = "machine_steal_s";

/// Key of the reading of the factor by which the machine was slower when a measurement began.
pub const SLOWDOWN: &str = "machine_slowdown_ratio";

/// Largest share of the processors' time that the host may take. The throughput of equal cells
/// differs by as much.
const MOST_STEAL: f64 = 0.1;

/// Measurements that may be repeated, as a share of all measurements.
const REPEATS: f64 = 0.2;

/// Measurements that may be repeated in any case.
const FEWEST_REPEATS: usize = 3;

/// Returns the reason why a measurement says little about its server, in words; `None` if there is
/// no such reason.
pub fn of(record: &Record, processors: usize) -> Option<String> {
    let Outcome::Measured(summary) = &record.outcome else { return None };
    let by_others = record.checks.iter().find(|check| check.effect == Some(Effect::Disturbed));
    let steal_s = record.readings.get(STEAL).copied().unwrap_or(0.0);
    let steal = steal_s / (summary.duration_s * processors as f64).max(f64::MIN_POSITIVE);
    let slowdown = record.readings.get(SLOWDOWN).copied().unwrap_or(1.0);
    if let Some(check) = by_others {
        Some(check.detail.clone())
    } else if steal > MOST_STEAL {
        Some(format!("the host took {:.0} % of the processors' time", steal * 100.0))
    } else if machine_speed::is_slow(slowdown) {
        Some(format!("the machine was {slowdown:.1} times as slow as before when it began"))
    } else {
        None
    }
}

/// Returns the number of measurements of a run that may be repeated.
pub fn repeats(measurements: usize) -> usize {
    ((measurements as f64 * REPEATS).ceil() as usize).max(FEWEST_REPEATS)
}
