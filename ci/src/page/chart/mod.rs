//! Charts of a gate, one file per kind, made of the parts of `c10k_reports::chart`, so that they
//! look like the charts of a run.

pub mod blocks;
mod change_axis;
pub mod forest;
pub mod latency;
mod look;
mod sheet;
pub mod shift;

/// Quantiles that the text alternatives of charts state.
const TOLD: [(f64, &str); 4] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];

/// A chart with the text below it.
pub struct Drawn {
    /// The SVG document.
    pub svg: String,
    /// Explanation of how to read the chart.
    pub caption: String,
}
