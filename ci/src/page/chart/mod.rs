//! Charts of a gate, one file per kind, made of the pieces of `c10k_reports::chart`, so that they look
//! as those of a run do.

pub mod blocks;
mod change_axis;
pub mod forest;
pub mod latency;
mod look;
mod sheet;
pub mod shift;

/// Quantiles that text alternatives tell.
const TOLD: [(f64, &str); 4] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9")];

/// A chart with the text below it.
pub struct Drawn {
    /// The SVG document.
    pub svg: String,
    /// How to read it.
    pub caption: String,
}
