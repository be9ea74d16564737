//! Procedures: how a cell is measured. Most cells are measured once per round. For a cell with an
//! objective, the highest rate that meets the objective is searched for; then the latency is
//! measured below and above that rate.

use std::time::Duration;

mod capacity;
mod objective;
mod search;

pub use capacity::Capacity;
pub use objective::{Objective, error_share};

/// Rates that are measured after the search, as shares of the highest rate that was found. They
/// show the latency that a user gets while the server has spare capacity, and the outcome of
/// requests beyond its capacity.
pub const SHARES: [f64; 9] = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2];

/// Length of the longest step. A rate so low that its step would take longer is not tried.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// Most steps of one search that are measured again because they were disturbed.
const DISTURBED_STEPS: usize = 8;

/// Usual number of steps of a search and of the shares after it, for estimates: nine of the ramp,
/// twice six of the bisection, two of the confirmation, a few whose measurements disagree, and the
/// shares.
pub const USUAL_STEPS: u32 = 36;
