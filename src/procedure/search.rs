//! The search for the highest rate that holds an objective: a ramp, then bisection.
//!
//! ```text
//! rate    ×2 ×2 ×2 … until it breaks      then halves of what is left, on a logarithmic scale
//!         ├───┼───────┼───────────────┤
//!                     holds ◀── · ──▶ breaks
//! ```
//!
//! One step is one measurement, and one may break for what the machine did meanwhile, or hold for few requests that came by
//! chance. So what decides is two of three measurements of a rate; on the ramp, where rates are far apart, one that holds is
//! enough. What is found is not a number but two: the highest rate that has
//! held, and the lowest above it that has broken.
//!
//! It is a value that is asked for the next rate and told what came of it, so that what measures is none of its business.

use c10k_reports::record::SearchReason;

/// Rate of the first step.
const FIRST_RPS: f64 = 500.0;

/// By how much the rates of a ramp grow.
const RAMP: f64 = 2.0;

/// How near the two rates have to come, as a ratio. Nearer than that, the same server differs from start to start.
const PRECISION: f64 = 1.03;

/// Beyond that no rate is tried.
const HIGHEST_RPS: f64 = 4e6;

/// Measurements that agree of a rate.
const MAJORITY: u32 = 2;

/// What is known so far.
#[derive(Debug, Clone)]
pub struct Search {
    /// Below that no rate is tried.
    lowest: f64,
    holds: Option<f64>,
    breaks: Option<f64>,
    /// The rate that is being measured.
    rate: f64,
    /// How often it has broken and held.
    broken: u32,
    held: u32,
    /// Why it ended, if it has.
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The two rates are near enough.
    Found,
    /// The generator could not send more.
    Generator,
    /// No rate was left to try.
    Bounds,
}

/// What came of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Holds,
    Breaks,
    /// The generator was at its limit, so that nothing is known of the server.
    Generator,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Highest {
    /// The highest rate that has held; nothing where none has.
    pub holds_rps: Option<f64>,
    /// The lowest rate above it that has broken; nothing where none has, so that the first is a lower bound.
    pub breaks_rps: Option<f64>,
    /// Whether the generator could not send more.
    pub is_bound_by_generator: bool,
}

impl Search {
    /// A search that tries no rate below `lowest`.
    pub fn from(lowest: f64) -> Self {
        let rate = FIRST_RPS.max(lowest);
        Self { lowest, holds: None, breaks: None, rate, broken: 0, held: 0, end: None }
    }

    /// The next rate to be measured, and why; `None` at the end.
    pub fn next(&self) -> Option<(f64, SearchReason)> {
        let is_between = self.holds.is_some() && self.breaks.is_some();
        let why = if is_between { SearchReason::Bisection } else { SearchReason::Ramp };
        self.end.is_none().then_some((self.rate, why))
    }

    /// Takes what came of the measurement of that rate.
    pub fn tell(&mut self, step: Step) {
        match step {
            Step::Generator => return self.end = Some(End::Generator),
            Step::Holds => self.held += 1,
            Step::Breaks => self.broken += 1,
        }
        let is_on_ramp = self.breaks.is_none() && self.broken == 0;
        if self.held >= MAJORITY || (self.held > 0 && is_on_ramp) {
            self.holds = Some(self.rate);
        } else if self.broken >= MAJORITY {
            self.breaks = Some(self.rate);
        } else {
            return;
        }
        (self.held, self.broken) = (0, 0);
        self.choose();
    }

    /// What was found, so far or in the end.
    pub fn highest(&self) -> Highest {
        Highest {
            holds_rps: self.holds,
            breaks_rps: self.breaks,
            is_bound_by_generator: self.end == Some(End::Generator),
        }
    }

    fn choose(&mut self) {
        self.rate = match (self.holds, self.breaks) {
            (Some(holds), Some(breaks)) if breaks / holds <= PRECISION => return self.end = Some(End::Found),
            (Some(holds), Some(breaks)) => (holds * breaks).sqrt(),
            (Some(holds), None) => holds * RAMP,
            // Twice as fast as up: steps are the longer, the lower the rate.
            (None, Some(breaks)) => breaks / (RAMP * RAMP),
            (None, None) => self.rate,
        };
        if !(self.lowest..=HIGHEST_RPS).contains(&self.rate) {
            self.end = Some(End::Bounds);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Searches a server that holds up to a rate, of which a share of measurements is disturbed and breaks at any rate.
    fn search(capacity: f64, disturbed: f64, seed: u64) -> (Highest, u32) {
        let (mut search, mut random, mut steps) = (Search::from(1.0), ChaCha8Rng::seed_from_u64(seed), 0);
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
            assert!(breaks / holds <= PRECISION && !found.is_bound_by_generator, "{found:?}");
            assert!(steps < 50, "{steps}");
        }
    }

    #[test]
    fn a_disturbed_measurement_now_and_then_does_not_mislead_it() {
        let found = (0..200).map(|seed| search(20_000.0, 0.05, seed).0.holds_rps.unwrap_or(0.0));
        let wrong = found.filter(|holds| !(20_000.0 / PRECISION..=20_000.0).contains(holds)).count();
        // Two of three of one rate have to be disturbed, at one of the eight or so that hold.
        assert!(wrong <= 16, "{wrong} of 200");
    }

    #[test]
    fn a_generator_at_its_limit_ends_it_with_a_bound() {
        let mut search = Search::from(1.0);
        for _ in 0..3 {
            search.tell(Step::Holds);
        }
        search.tell(Step::Generator);
        assert_eq!(search.next(), None);
        let Highest { holds_rps, breaks_rps, is_bound_by_generator } = search.highest();
        assert_eq!((holds_rps, breaks_rps, is_bound_by_generator), (Some(2000.0), None, true));
    }

    #[test]
    fn a_server_that_holds_no_rate_ends_it() {
        let (found, _) = search(0.0, 0.0, 1);
        assert_eq!((found.holds_rps, found.is_bound_by_generator), (None, false));
    }
}
