//! What a reader's browser gets to see of a run that was written with `RunWriter` and rendered.

#[path = "../fixture/mod.rs"]
mod fixture;

mod before_axes;
mod page;
mod questions;
mod run;
mod verdicts;
