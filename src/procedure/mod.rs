//! Procedures: how a cell is measured. Most are measured once in a round; one with an objective is asked for the highest
//! rate at which it holds to it, and then for its latency below and above that.

use std::time::Duration;

mod capacity;
mod objective;
mod search;

pub use capacity::Capacity;
pub use objective::{Objective, error_share};

/// Rates that are measured behind the search, as shares of what was found: the latency that a user gets at a load that
/// leaves time, and what becomes of requests beyond it.
pub const SHARES: [f64; 9] = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2];

/// The longest step: a rate so low that it would need more is not tried.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// Steps of one search that are measured again because they were disturbed.
const DISTURBED_STEPS: usize = 8;

/// Steps of a search and of what is measured behind it, for estimates: nine of the ramp, twice six of the bisection, a
/// few that do not agree, and the shares.
pub const USUAL_STEPS: u32 = 34;
