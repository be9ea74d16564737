//! Charts: one file per kind, drawn by `plotters` as SVG text; `figures.rs` lists them.
//!
//! Charts of a workload are 560 px wide, so that their text stays readable when the page shrinks
//! them to a phone's width, and so that two fit side by side on a desktop screen. All charts take
//! colour, dash and marker of a subject from `palette.rs`, so that a subject looks the same
//! everywhere, in colour and in grey. The pieces that charts are made of are public, since the
//! pages of a gate are drawn with the same pieces.

mod along;
pub mod axis;
mod bars;
mod by_load;
pub mod canvas;
mod curves;
mod figures;
mod goodput_by_load;
mod grid;
pub mod heading;
mod kind;
mod latency_by_load;
mod latency_histogram;
mod latency_percentiles;
pub mod legend;
pub mod palette;
pub mod panel;
pub mod percentile_curve;
mod quantity;
mod reading;
mod single;

pub use figures::Figures;
pub use kind::Figure;
