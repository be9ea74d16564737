//! Pages of runs that were written with `RunWriter` and rendered, as a reader's browser shows them.

#[path = "../fixture/mod.rs"]
mod fixture;

mod before_axes;
mod page;
mod questions;
mod run;
mod verdicts;
