//! What a run found: its records brought together by cell, with what speaks against them, what leads,
//! and where they lie along an axis.

mod cell;
mod checks;
mod comparison;
mod doubt;
mod gather;
mod histogram_log;
mod layout;
mod rounds;

pub use cell::{CellResult, State, Unserved};
pub use checks::{Complaint, Tally, complaints, tallies};
pub use comparison::leading;
pub use doubt::{DOUBTS, Doubt};
pub use gather::Results;
pub use histogram_log::Tagged;
pub use layout::{Layout, Panel, Place, Station};
pub use rounds::{doubts, measured, value};
