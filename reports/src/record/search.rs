//! Result of a search, as a record holds it: the highest rate that meets an objective, with
//! every step that led to it.

use serde::{Deserialize, Serialize};

/// Result of a search, and the steps that led to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// The objective, such as `p99 < 5ms and errors < 0.1%`.
    pub objective: String,
    /// Highest rate that met the objective, in requests per second.
    pub holds_rps: f64,
    /// Lowest rate above `holds_rps` that did not meet it, in requests per second; `None` if the
    /// generator could not send more, so that `holds_rps` is a lower bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaks_rps: Option<f64>,
    /// Every measurement, in the order in which they were made.
    pub steps: Vec<SearchStep>,
}

/// One measurement at one rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchStep {
    /// Reason why the rate was measured.
    pub why: SearchReason,
    /// Requests per second that were offered.
    pub offered_rps: f64,
    /// Offered rate as a share of the rate that was found; only for steps after the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Requests per second that were answered well.
    pub goodput_rps: f64,
    /// Requests that were due and not answered well, as a share (0 to 1).
    pub error_share: f64,
    /// Median of the latency, in microseconds; `None` if the step has too few requests for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<f64>,
    /// 99th percentile of the latency, in microseconds; `None` if the step has too few requests for
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<f64>,
    /// 99.9th percentile of the latency, in microseconds; `None` if the step has too few requests
    /// for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p999_us: Option<f64>,
    /// Reason why the step does not meet the objective; `None` if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// True if other programs took processors during the step, so that it was measured again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disturbed: bool,
    /// True if the generator was at its limit, so that the step says nothing about the server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_generator: bool,
}

impl SearchStep {
    /// Returns the share of the rate that was found in percent: shares are compared as they are
    /// written.
    pub fn percent(&self) -> Option<u32> {
        self.share.map(|share| (share * 100.0).round() as u32)
    }
}

/// Reason why a rate was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchReason {
    /// To find a rate that does not hold.
    Ramp,
    /// To come closer to the highest rate that holds.
    Bisection,
    /// To see whether the lowest rate that broke breaks once more, at the end.
    Confirmation,
    /// To measure the latency at shares of the highest rate that holds, below and above it.
    Share,
}
