//! A search in a record: the highest rate that holds an objective, with every step that led there.

use serde::{Deserialize, Serialize};

/// What a search has found, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// The objective, such as `p99 < 5ms and errors < 0.1%`.
    pub objective: String,
    /// The highest rate that held to it, in requests per second.
    pub holds_rps: f64,
    /// The lowest rate above that which did not; absent where the generator could not send more, so
    /// that the other one is a lower bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaks_rps: Option<f64>,
    /// Every measurement, in the order in which they were made.
    pub steps: Vec<SearchStep>,
}

/// One measurement at one rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchStep {
    /// Why that rate was measured.
    pub why: SearchReason,
    /// Requests per second that were offered.
    pub offered_rps: f64,
    /// The same as a share of the rate that was found, of steps behind the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Requests per second that were answered well.
    pub goodput_rps: f64,
    /// Requests that were due and not answered well, as a share (0 to 1).
    pub error_share: f64,
    /// Latency in microseconds; absent where the step has too few requests for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<f64>,
    /// As above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<f64>,
    /// As above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p999_us: Option<f64>,
    /// Why it does not hold to the objective; absent where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// Whether other programs took processors meanwhile, so that it was measured again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disturbed: bool,
    /// Whether the generator was at its limit, so that it says nothing of the server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_generator: bool,
}

/// Why a rate was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchReason {
    /// To find one that does not hold.
    Ramp,
    /// To come nearer to the highest that holds.
    Bisection,
    /// To tell the latency below and above it.
    Share,
}
