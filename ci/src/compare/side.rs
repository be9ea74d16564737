//! One side of a comparison, and the reasons why there may be nothing to compare.

use std::path::PathBuf;

use c10k_reports::results::{CellResult, Results};

/// One side of a comparison.
#[derive(Debug)]
pub struct Side {
    /// Name that the user gave.
    pub name: String,
    /// Folder of the run, with links resolved, so that two sides of the same run are recognised.
    pub folder: PathBuf,
    /// The run.
    pub results: Results,
    /// The only subject that is compared; all subjects if there is none.
    pub subject: Option<String>,
}

/// Reason why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum CompareError {
    #[error("{name} has no subject {subject:?}; it has {known}")]
    UnknownSubject { name: String, subject: String, known: String },
    #[error(
        "{with} names a subject and {without} does not; name one of each, as in {without}:SUBJECT"
    )]
    OneSubject { with: String, without: String },
    #[error("both are the same; give two runs, or two subjects of a run as in RUN_DIR:SUBJECT")]
    Same,
    #[error(
        "{a} and {b} have no cell in common; runs of one suite have, and so have two subjects of a run"
    )]
    NothingInCommon { a: String, b: String },
}

impl Side {
    /// Returns the names of the subjects of the run.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &str> {
        self.results.environment.subjects.iter().map(|subject| subject.name.as_str())
    }

    /// Returns the subject of a cell of the run.
    pub(super) fn subject_of(&self, cell: &CellResult) -> &str {
        self.results.subject_name(cell)
    }

    /// Returns the workload of a cell of the run.
    pub(super) fn workload_of(&self, cell: &CellResult) -> &str {
        &self.results.environment.workloads[cell.workload].name
    }
}
