//! Statistics as small pure functions, one kind per file, each with its source and a test against a
//! known value.

pub mod apart;
pub mod interval;
pub mod lead;
pub mod merge;
pub mod spread;
