//! The search for the highest rate that holds an objective: a ramp, bisection, confirmation.
//!
//! ```text
//! rate    ×2 ×2 ×2 … until it breaks      then halves of what is left, on a logarithmic scale
//!         ├───┼───────┼───────────────┤
//!                     holds ◀── · ──▶ breaks
//! ```
//!
//! One step is one measurement. It may break because of something else that the machine did
//! meanwhile, or hold because few requests arrived by chance. So two of three measurements decide
//! about a rate; on the ramp, where rates are far apart, one that holds is enough.
//!
//! A machine that was slow for some seconds breaks two measurements of one rate, and the bisection
//! below that rate never finds out. So the rate that breaks is measured again at the end: after
//! other rates, unless the last bisection broke, which then is near the rate that holds. If it
//! holds, the search goes on with a ramp from there. The result is two numbers: the highest rate
//! that has held, and the lowest rate above it that has broken.
//!
//! A [`Search`] only gives the next rate and takes the outcome of its measurement, so it does not
//! depend on how a rate is measured.

use c10k_reports::record::SearchReason;

/// Rate of the first step.
const FIRST_RPS: f64 = 500.0;

/// Factor by which the rates of a ramp grow.
const RAMP: f64 = 2.0;

/// Ratio of the two rates at which the search ends. At smaller ratios, the same server differs from
/// start to start.
const PRECISION: f64 = 1.03;

/// Highest rate that is tried.
const HIGHEST_RPS: f64 = 4e6;

/// Number of measurements that have to agree about a rate.
const MAJORITY: u32 = 2;

/// Most times that a search goes on because the rate that broke holds when it is confirmed.
const MOST_RESUMED: u32 = 4;

/// State of a search.
#[derive(Debug, Clone)]
pub struct Search {
    /// Lowest rate that is tried.
    lowest: f64,
    holds: Option<f64>,
    breaks: Option<f64>,
    /// The rate that is being measured.
    rate: f64,
    /// Number of measurements of this rate that have broken; `held` is the number that have held.
    broken: u32,
    held: u32,
    /// True while the rate that breaks is measured again.
    is_confirming: bool,
    /// Number of times that this rate held, so that the search went on.
    resumed: u32,
    /// True if the two rates are near enough, no rate is left, or the generator was at its limit.
    has_ended: bool,
}

/// Outcome of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Holds,
    Breaks,
    /// The generator was at its limit, so the measurement says nothing about the server.
    Generator,
}

/// Result of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Highest {
    /// Highest rate that has held; `None` if none has.
    pub holds_rps: Option<f64>,
    /// Lowest rate above `holds_rps` that has broken; `None` if none has, so that `holds_rps` is a
    /// lower bound.
    pub breaks_rps: Option<f64>,
}

impl Search {
    /// Creates a search that tries no rate below `lowest`.
    pub fn from(lowest: f64) -> Self {
        let rate = FIRST_RPS.max(lowest);
        Self {
            lowest,
            holds: None,
            breaks: None,
            rate,
            broken: 0,
            held: 0,
            is_confirming: false,
            resumed: 0,
            has_ended: false,
        }
    }

    /// Returns the next rate to be measured, and why; `None` at the end.
    pub fn next(&self) -> Option<(f64, SearchReason)> {
        let why = if self.is_confirming {
            SearchReason::Confirmation
        } else if self.holds.is_some() && self.breaks.is_some() {
            SearchReason::Bisection
        } else {
            SearchReason::Ramp
        };
        (!self.has_ended).then_some((self.rate, why))
    }

    /// Takes the outcome of the measurement of the current rate.
    pub fn tell(&mut self, step: Step) {
        match step {
            Step::Generator => {
                // Nothing confirms a rate that broke.
                self.breaks = None;
                return self.has_ended = true;
            }
            Step::Holds => self.held += 1,
            Step::Breaks => self.broken += 1,
        }
        let is_on_ramp = self.breaks.is_none() && self.broken == 0;
        if self.held >= MAJORITY || (self.held > 0 && is_on_ramp) {
            self.holds = Some(self.rate);
            if self.is_confirming {
                self.breaks = None;
                self.is_confirming = false;
                self.resumed += 1;
            }
        } else if self.broken >= MAJORITY {
            self.breaks = Some(self.rate);
        } else {
            return;
        }
        (self.held, self.broken) = (0, 0);
        self.choose();
    }

    /// Returns the result so far, or the final one at the end.
    pub fn highest(&self) -> Highest {
        Highest { holds_rps: self.holds, breaks_rps: self.breaks }
    }

    fn choose(&mut self) {
        self.rate = match (self.holds, self.breaks) {
            (Some(holds), Some(breaks)) if breaks / holds <= PRECISION => {
                if self.is_confirming || self.resumed == MOST_RESUMED {
                    return self.has_ended = true;
                }
                self.is_confirming = true;
                breaks
            }
            (Some(holds), Some(breaks)) => (holds * breaks).sqrt(),
            (Some(holds), None) => holds * RAMP,
            // Twice as fast as up, since steps take longer at lower rates.
            (None, Some(breaks)) if breaks > self.lowest => {
                (breaks / (RAMP * RAMP)).max(self.lowest)
            }
            (None, Some(_)) if self.is_confirming => return self.has_ended = true,
            (None, Some(breaks)) => {
                self.is_confirming = true;
                breaks
            }
            (None, None) => self.rate,
        };
        if !(self.lowest..=HIGHEST_RPS).contains(&self.rate) {
            self.has_ended = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Searches the capacity of a server that holds up to a rate. A share of the measurements is
    /// disturbed and breaks at any rate.
    fn search(capacity: f64, disturbed: f64, seed: u64) -> (Highest, u32) {
        let mut search = Search::from(1.0);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut steps = 0;
        while let Some((rate, _)) = search.next() {
            let breaks = rate > capacity || random.random_bool(disturbed);
            search.tell(if breaks { Step::Breaks } else { Step::Holds });
            steps += 1;
            assert!(steps < 200, "it does not end");
        }
        (search.highest(), steps)
    }

    #[test]
    fn the_capacity_lies_between_the_two_rates() {
        for capacity in [3.0, 499.0, 501.0, 7_777.0, 123_456.0] {
            let (found, steps) = search(capacity, 0.0, 1);
            let (holds, breaks) = (found.holds_rps.unwrap(), found.breaks_rps.unwrap());
            assert!(holds <= capacity && capacity < breaks, "{found:?} for {capacity}");
            assert!(breaks / holds <= PRECISION, "{found:?}");
            assert!(steps < 50, "{steps}");
        }
    }

    #[test]
    fn a_disturbed_measurement_now_and_then_does_not_mislead_it() {
        let found = (0..200).map(|seed| search(20_000.0, 0.05, seed).0.holds_rps.unwrap_or(0.0));
        let wrong =
            found.filter(|holds| !(20_000.0 / PRECISION..=20_000.0).contains(holds)).count();
        // It is misled if two of three measurements of one rate are disturbed, and two of three
        // once more when that rate is confirmed.
        assert!(wrong <= 2, "{wrong} of 200");
    }

    #[test]
    fn a_machine_that_was_slow_for_some_steps_does_not_mislead_it() {
        for slow_from in 0..20 {
            let mut search = Search::from(1.0);
            let mut steps = 0;
            while let Some((rate, _)) = search.next() {
                let capacity =
                    if (slow_from..slow_from + 6).contains(&steps) { 5_000.0 } else { 12_000.0 };
                search.tell(if rate > capacity { Step::Breaks } else { Step::Holds });
                steps += 1;
                assert!(steps < 200, "it does not end");
            }
            let found = search.highest();
            let (holds, breaks) = (found.holds_rps.unwrap(), found.breaks_rps.unwrap());
            // If it was slow at the end, the last bisection and its confirmation are both wrong.
            let nearly = 12_000.0 / PRECISION.powi(3)..=12_000.0;
            assert!(nearly.contains(&holds), "{found:?}, slow from {slow_from}");
            assert!(breaks / holds <= PRECISION, "{found:?}");
        }
    }

    #[test]
    fn a_generator_at_its_limit_ends_it_with_a_bound() {
        let mut search = Search::from(1.0);
        for _ in 0..3 {
            search.tell(Step::Holds);
        }
        search.tell(Step::Generator);
        assert_eq!(search.next(), None);
        let Highest { holds_rps, breaks_rps } = search.highest();
        assert_eq!((holds_rps, breaks_rps), (Some(2000.0), None));
    }

    #[test]
    fn a_machine_that_was_slow_at_the_beginning_is_measured_again_at_the_lowest_rate() {
        let mut search = Search::from(250.0);
        let mut steps = 0;
        while let Some((rate, _)) = search.next() {
            search.tell(if steps < 4 || rate > 12_000.0 { Step::Breaks } else { Step::Holds });
            steps += 1;
            assert!(steps < 200, "it does not end");
        }
        let holds = search.highest().holds_rps.expect("a rate holds");
        assert!((12_000.0 / PRECISION..=12_000.0).contains(&holds), "{holds}");
    }

    #[test]
    fn a_generator_at_its_limit_leaves_no_rate_that_breaks() {
        let mut search = Search::from(1.0);
        for step in [Step::Holds, Step::Breaks, Step::Breaks, Step::Generator] {
            search.tell(step);
        }
        let Highest { holds_rps, breaks_rps } = search.highest();
        assert_eq!((holds_rps, breaks_rps), (Some(500.0), None));
    }

    #[test]
    fn a_server_that_holds_no_rate_ends_it() {
        let (found, _) = search(0.0, 0.0, 1);
        assert_eq!(found.holds_rps, None);
    }
}
