//! Validity checks, which find out if a measurement says what it seems to say. One check is one
//! file, and one line in [`ALL`].
//!
//! A check fails if a number that is shown would mislead. Such a number shows the generator's own
//! doing, or a quantity that does not exist (the latency of an overload grows with the length of
//! the run), or the result of another workload than the one that was asked for. A server that is
//! slow, or serves connections unequally, is a result; that is at most a warning.

use crate::measurement::Measurement;

mod answers;
mod arrivals;
mod connections_reused;
mod definition;
mod delayed_acknowledgement;
mod errors;
#[cfg(test)]
pub(crate) mod fixture;
mod generator_cpu;
mod generator_cpu_wait;
mod generator_limits;
mod kernel_drops;
mod littles_law;
mod offered_rate;
mod processor_time;
mod queues;
mod sample_size;
mod send_lag;
mod server_cpu_wait;
mod silence;
mod start_up;
mod starvation;
mod steady_state;

pub use definition::{Check, CheckOutcome, Effect, Verdict};

/// All checks, in the order in which they are reported: serious faults first, finer points last.
pub const ALL: [Check; 19] = [
    errors::CHECK,
    generator_limits::CHECK,
    answers::CHECK,
    connections_reused::CHECK,
    offered_rate::CHECK,
    littles_law::CHECK,
    start_up::CHECK,
    starvation::CHECK,
    silence::CHECK,
    kernel_drops::CHECK,
    delayed_acknowledgement::CHECK,
    generator_cpu::CHECK,
    generator_cpu_wait::CHECK,
    server_cpu_wait::CHECK,
    send_lag::CHECK,
    arrivals::CHECK,
    queues::CHECK,
    steady_state::CHECK,
    sample_size::CHECK,
];

/// Checks that look for a steady state: a queue that grows, a trend, a part of the run without
/// responses.
const OF_STEADY_STATE: [Check; 3] = [offered_rate::CHECK, steady_state::CHECK, silence::CHECK];

/// Returns the outcomes of all checks that apply to a measurement.
pub fn outcomes(measured: &Measurement) -> Vec<CheckOutcome> {
    ALL.iter().filter_map(|check| check.outcome(measured)).collect()
}

/// Returns true if a measurement can be believed: no check failed.
pub fn is_valid(outcomes: &[CheckOutcome]) -> bool {
    outcomes.iter().all(|outcome| outcome.verdict != Verdict::Fail)
}

/// Returns true if the run had a steady state, without which its percentiles describe nothing: no
/// check that looks for one failed.
pub fn is_steady(outcomes: &[CheckOutcome]) -> bool {
    let is_one =
        |outcome: &&CheckOutcome| OF_STEADY_STATE.iter().any(|check| check.name == outcome.name);
    outcomes.iter().filter(is_one).all(|outcome| outcome.verdict != Verdict::Fail)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::workload::Arrivals;

    #[test]
    fn a_good_measurement_passes_every_check_that_applies() {
        for measured in
            [fixture::closed(), fixture::open(Arrivals::Constant), fixture::open(Arrivals::Poisson)]
        {
            let outcomes = outcomes(&measured);
            assert!(
                outcomes.iter().all(|outcome| outcome.verdict == Verdict::Pass),
                "{outcomes:#?}"
            );
            assert!(outcomes.len() >= 7, "{outcomes:#?}");
            assert!(is_valid(&outcomes));
        }
    }

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let names = ALL.iter().map(|check| check.name).collect::<HashSet<_>>();
        assert_eq!(names.len(), ALL.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
    }

    #[test]
    fn one_failure_makes_a_measurement_invalid_and_a_warning_does_not() {
        let outcome = |verdict| CheckOutcome {
            name: String::new(),
            verdict,
            detail: String::new(),
            effect: None,
        };
        assert!(is_valid(&[outcome(Verdict::Pass), outcome(Verdict::Warn)]));
        assert!(!is_valid(&[outcome(Verdict::Pass), outcome(Verdict::Fail)]));
    }

    #[test]
    fn a_failure_of_another_kind_leaves_the_steady_state() {
        let outcome = |name: &str, verdict| CheckOutcome {
            name: name.into(),
            verdict,
            detail: String::new(),
            effect: None,
        };
        assert!(is_steady(&[
            outcome("errors", Verdict::Fail),
            outcome("steady-state", Verdict::Warn)
        ]));
        assert!(!is_steady(&[outcome("steady-state", Verdict::Fail)]));
    }

    #[test]
    fn a_measurement_of_nothing_is_judged_without_a_panic_and_is_not_valid() {
        for mut measured in [fixture::closed(), fixture::open(Arrivals::Poisson)] {
            fixture::forget_responses(&mut measured);
            assert!(!is_valid(&outcomes(&measured)));
        }
    }
}
