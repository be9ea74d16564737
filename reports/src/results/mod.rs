//! Findings of a run: its records by cell, the doubts about them, the cells that lead, and their
//! layout along an axis.

mod cell;
mod checks;
mod claim;
mod comparison;
mod doubt;
mod gather;
mod histogram_log;
mod layout;
mod rounds;

pub use cell::{CellResult, State, Unserved};
pub use checks::{Complaint, Tally, complaints, tallies};
pub use claim::{Finding, Judged, judge as judge_claim};
pub use comparison::leading;
pub use doubt::{DOUBTS, Doubt};
pub use gather::Results;
pub use histogram_log::{Logged, Tagged, read_log};
pub use layout::{Layout, Panel, Place, Station};
pub use rounds::{doubts, measured, value};
