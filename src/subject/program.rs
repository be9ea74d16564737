//! The program that serves the models, held on to from the begin of a harness to its end.
//!
//! A build or an upgrade may put another file into its place between two measurements, or none. What was there when
//! the harness began is measured all the same.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The program of this process.
const OWN: &str = "/proc/self/exe";

/// A program that is open for as long as this lives.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    /// Nothing where it could not be opened; its start then says why.
    file: Option<File>,
}

impl Program {
    /// The program that this process runs, even where its file is gone already.
    ///
    /// # Errors
    /// Without `/proc`, where nothing tells which one that is.
    pub fn this() -> Result<Self> {
        let cannot_find = "cannot find the program that serves, which is this one";
        let path = std::env::current_exe().context(cannot_find)?;
        Ok(Self { path, file: Some(File::open(OWN).context(cannot_find)?) })
    }

    /// The program at this path.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), file: File::open(path).ok() }
    }

    /// Where it lay at the begin. Programs that belong to it lie in the same folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path to start it by, which leads to the open file.
    pub(super) fn to_start(&self) -> PathBuf {
        let Some(file) = &self.file else { return self.path.clone() };
        // By the number of this process: a prefix such as `strace` has closed what it was forked with.
        format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_that_was_replaced_or_removed_is_started_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::copy("/bin/echo", &path).unwrap();
        let program = Program::at(&path);
        // Behind a prefix, which has not inherited the open file.
        let said = || Command::new("env").arg(program.to_start()).arg("here").output().unwrap().stdout;
        fs::remove_file(&path).unwrap();
        assert_eq!(said(), b"here\n");
        fs::copy("/bin/false", &path).unwrap();
        assert_eq!(said(), b"here\n");
        assert!(program.path().ends_with("program"));
    }
}
