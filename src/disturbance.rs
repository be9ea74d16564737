//! Whether something else than the server decided a measurement: other programs on its processors or on the generator's,
//! the host that took them away, a machine that was slower than before.

use c10k_loadgen::check::Effect;
use c10k_reports::record::{Outcome, Record};

use crate::machine_speed;

/// Reading of the time that the host took from this machine.
const STEAL: &str = "machine_steal_s";

/// Reading of how much slower the machine was when a measurement began.
pub const SLOWDOWN: &str = "machine_slowdown_ratio";

/// Share of the processors' time that the host may take. Throughput of equal cells differs by as much.
const MOST_STEAL: f64 = 0.1;

/// Measurements that may be made again, as a share of all.
const REPEATS: f64 = 0.2;

/// Measurements that may be made again in any case.
const FEWEST_REPEATS: usize = 3;

/// Why a measurement says little of its server, in words; `None` where nothing speaks against it.
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

/// How many measurements of a run may be made again.
pub fn repeats(measurements: usize) -> usize {
    ((measurements as f64 * REPEATS).ceil() as usize).max(FEWEST_REPEATS)
}
