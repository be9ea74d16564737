//! What a run found: its records brought together by cell, with their state and their comparisons.

mod gather;

pub use gather::{CellResult, Measured, Results, State};
