//! The record of a run: the wire format of `environment.json` and of the lines of `record.jsonl`,
//! its writer and its reader.
//!
//! The runner writes both files while it measures. The pages are rendered from these files alone,
//! so `c10k report` can render any run again.

mod claim;
mod environment;
mod files;
mod line;
mod parameters;
mod plan;
mod reader;
mod search;
mod upgrade;
mod writer;

pub use claim::{Claim, Predicate, Selector};
pub use environment::{
    Calibration, Cell, Comparison, CpuAccounts, CpuComparison, Environment, Machine, Question,
    Source, Subject, WorkloadEntry,
};
pub use files::{RUNS_DIR, VERSION};
pub use line::{CpuAccount, Outcome, Record, ServerUsage};
pub use parameters::{Axis, Parameter, Parameters, Scale};
pub use reader::Run;
pub use search::{Search, SearchReason, SearchStep};
pub use writer::RunWriter;
