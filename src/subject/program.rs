//! The program that serves the models, held on to from the begin of a harness to its end.
//!
//! A build or an upgrade may put another file into its place between two measurements, or none. What was there when
//! the harness began is measured all the same.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
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

    /// The path to start it by: its own, and that of the open file where another one, or none, is there by now. A
    /// process that was started by the latter would be called by a number in `ps`.
    pub(super) fn to_start(&self) -> PathBuf {
        match &self.file {
            Some(file) if !is_at(file, &self.path) => {
                // By the number of this process: a prefix such as `strace` has closed what it was forked with.
                format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
            }
            _ => self.path.clone(),
        }
    }
}

/// Whether it is this file that lies there.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_that_was_replaced_or_removed_is_started_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::copy("/bin/echo", &path).unwrap();
        let program = Program::at(&path);
        assert_eq!(program.to_start(), path);
        let said = |prefix: &str| {
            let said = Command::new(prefix).arg(program.to_start()).arg("here").output().unwrap();
            String::from_utf8(said.stdout).unwrap()
        };
        fs::remove_file(&path).unwrap();
        assert_eq!(said("env"), "here\n");
        fs::copy("/bin/false", &path).unwrap();
        assert_eq!(said("env"), "here\n");
        assert!(program.path().ends_with("program"));
    }
}
