//! `generator-cpu`: checks that the generator had processor time to spare.
//!
//! A closed loop sends as fast as it can, so any run may end with a generator that has no time to
//! spare: the server can do *at least* the throughput that is shown. That is worth a warning, but
//! the numbers are true. An open loop promises a rate and send times, and breaks the promise if it
//! has no time. But it also spins before each send: it takes processor time on purpose, and stops
//! as soon as there is something to do. The time that spinning may have taken is therefore left
//! out, and if that is nearly all of the time, `send-lag` is the better judge.

use std::time::Duration;

use super::definition::{Check, Effect, Judgement, Verdict, percent};
use crate::measurement::Measurement;
use crate::workload::Pacing;

pub(super) const CHECK: Check = Check { name: "generator-cpu", judge };

/// Utilisation above which responses begin to wait for the generator: in the simplest queue (M/M/1)
/// the wait is ρ / (1 − ρ) times the work itself, 6 times at 0.85, and 32 times at 0.97.
const WARN_BUSY: f64 = 0.85;
const FAIL_BUSY: f64 = 0.97;

fn judge(measured: &Measurement) -> Option<Judgement> {
    let generator = measured.generator;
    let available_s = measured.duration.as_secs_f64() * generator.threads as f64;
    if available_s == 0.0 {
        return None;
    }
    let busy = (generator.user_s + generator.system_s) / available_s;
    let threads = generator.threads;
    let mut detail =
        format!("{} of {threads} thread{}", percent(busy), if threads == 1 { "" } else { "s" });
    let verdict = match measured.workload.pacing {
        Pacing::Closed => Verdict::above(busy, WARN_BUSY, f64::INFINITY),
        Pacing::Open { rate, spin, .. } => {
            let spinning = spinning(rate, spin, threads).min(busy);
            if spinning >= 0.01 {
                detail +=
                    &format!(", of which up to {} may be spinning by design", percent(spinning));
            }
            Verdict::above(busy - spinning, WARN_BUSY, FAIL_BUSY)
        }
    };
    if verdict != Verdict::Pass {
        detail += match measured.workload.pacing {
            Pacing::Closed => {
                ": the throughput may be the generator's limit and not the server's; try more --threads"
            }
            Pacing::Open { .. } => {
                ": responses wait for the generator, and latency with them; try more --threads, \
                 each of which has a queue of its own: where requests wait for a connection, that \
                 adds to their latency"
            }
        };
    }
    let judgement = Judgement::new(verdict, detail);
    Some(match measured.workload.pacing {
        Pacing::Closed => judgement.with_effect(Effect::ThroughputIsABound),
        Pacing::Open { .. } => judgement,
    })
}

/// Returns the largest share of a thread's time that spinning may take: its budget before each
/// send.
fn spinning(rate: f64, spin: Duration, threads: usize) -> f64 {
    (rate / threads as f64 * spin.as_secs_f64()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture;
    use crate::workload::Arrivals;

    fn open(cpu_s: f64, spin: Duration) -> Judgement {
        let mut measured = fixture::open(Arrivals::Constant);
        measured.workload.pacing =
            Pacing::Open { rate: fixture::RATE, arrivals: Arrivals::Constant, seed: 1, spin };
        measured.generator.user_s = cpu_s;
        measured.generator.system_s = 0.0;
        judge(&measured).unwrap()
    }

    #[test]
    fn passes_with_time_to_spare() {
        assert_eq!(judge(&fixture::closed()).unwrap().verdict, Verdict::Pass);
        assert_eq!(open(4.0, Duration::ZERO).verdict, Verdict::Pass);
    }

    #[test]
    fn warns_of_a_saturated_closed_loop_and_never_fails_it() {
        let mut measured = fixture::closed();
        measured.generator.system_s = 9.0;
        let judgement = judge(&measured).unwrap();
        assert_eq!(judgement.verdict, Verdict::Warn);
        assert!(
            judgement
                .detail
                .starts_with("100 % of 1 thread: the throughput may be the generator's")
        );
    }

    #[test]
    fn fails_a_saturated_open_loop() {
        assert_eq!(open(9.0, Duration::ZERO).verdict, Verdict::Warn);
        assert_eq!(open(9.9, Duration::ZERO).verdict, Verdict::Fail);
    }

    #[test]
    fn spinning_by_design_is_no_saturation() {
        let judgement = open(9.9, Duration::from_millis(1));
        assert_eq!(judgement.verdict, Verdict::Pass);
        assert_eq!(
            judgement.detail,
            "99 % of 1 thread, of which up to 99 % may be spinning by design"
        );
        // At most a tenth of the time is spinning; the rest is work.
        assert_eq!(open(9.9, Duration::from_micros(100)).verdict, Verdict::Warn);
    }

    #[test]
    fn threads_share_the_work() {
        let mut measured = fixture::closed();
        measured.generator.threads = 2;
        measured.generator.system_s = 9.0;
        assert_eq!(judge(&measured).unwrap().verdict, Verdict::Pass);
    }
}
