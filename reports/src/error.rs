//! Errors of writing, reading and rendering a run: each says what was tried, what was found, and
//! what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Reason why a run could not be written, read or rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused an action.
    #[error("cannot {action} {path}: {cause}; {advice}", path = .path.display())]
    Io {
        /// The action that failed, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
        /// The next step.
        advice: &'static str,
    },
    /// A file does not contain the expected JSON.
    #[error(
        "cannot understand {path}, line {line}: {cause}; the file is damaged or was edited: \
         restore it, or measure again",
        path = .path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The cause.
        cause: serde_json::Error,
    },
    /// A file has a version that this crate does not read.
    #[error(
        "cannot read {path}, line {line}: it is of version {found}, and this c10k reads version {supported}; \
         render it with the c10k that wrote it",
        path = .path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The version that the file declares.
        found: u64,
        /// The version that this crate reads.
        supported: u32,
    },
    /// `environment.json` contradicts itself.
    #[error("cannot use {path}: {problem}; correct the suite that it came from, and measure again", path = .path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// The contradiction.
        problem: String,
    },
    /// Another process is still writing the run.
    #[error(
        "cannot continue {path}: another process is writing it; wait for its end",
        path = .path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A histogram log cannot be read.
    #[error("cannot use the histograms in {path}: {problem}; they are left out", path = .path.display())]
    Histograms {
        /// The file.
        path: PathBuf,
        /// The cause.
        problem: String,
    },
    /// The start time of a run is not a valid time.
    #[error(
        "cannot name the run's folder after the time {text:?}: {cause}; give it as RFC 3339, in UTC"
    )]
    Time {
        /// The time as given.
        text: String,
        /// The cause.
        cause: jiff::Error,
    },
    /// A template could not be filled in.
    #[cfg(feature = "render")]
    #[error("cannot render the page: {0}; this is a defect of c10k")]
    Template(#[from] askama::Error),
}

impl Error {
    /// Returns a function for `map_err` that reports a failure to read `path`.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let advice = "give the folder of a run, such as reports/runs/<UTC time>-<suite>";
        Self::io("read", path, advice)
    }

    /// Returns a function for `map_err` that reports a failure to write `path`.
    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io("write", path, "make sure that the folder is writable and its disk has free space")
    }

    fn io(
        action: &'static str,
        path: &Path,
        advice: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |cause| Self::Io { action, path, cause, advice }
    }
}
