//! The regression gate of c10k: did this change make a server slower, at a known false-alarm rate?
//!
//! It judges blocks of measurements and measures nothing itself. Pages and charts need the feature
//! `render`.

pub mod block;
pub mod block_line;
pub mod change_points;
pub mod compare;
pub mod evidence;
pub mod gate;
pub mod histograms;
pub mod history;
pub mod hodges_lehmann;
mod holm;
pub mod margin;
pub mod output;
#[cfg(feature = "render")]
pub mod page;
pub mod pairing;
pub mod plan;
pub mod power;
pub mod quantile_shift;
pub mod reason;
pub mod series;
pub mod shift;
pub mod sign_flips;
pub mod signed_rank;
#[cfg(test)]
mod simulated;
mod students_t;
pub mod verdict;
