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

    /// The path by which a process that is forked starts it, which leads to the open file.
    pub(super) fn to_start(&self) -> PathBuf {
        self.open_in("self")
    }

    /// The same for a prefix such as `strace`, which has closed what it was forked with. A program with capabilities of
    /// its own does not let other processes look for its open files.
    pub(super) fn to_start_behind_a_prefix(&self) -> PathBuf {
        self.open_in(&std::process::id().to_string())
    }

    fn open_in(&self, process: &str) -> PathBuf {
        let Some(file) = &self.file else { return self.path.clone() };
        format!("/proc/{process}/fd/{}", file.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_program_that_was_replaced_or_removed_is_started_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        symlink("/bin/echo", &path).unwrap();
        let program = Program::at(&path);
        let said = |command: &mut Command| command.arg("here").output().unwrap().stdout;
        let both = || {
            let behind = said(Command::new("env").arg(program.to_start_behind_a_prefix()));
            [said(&mut Command::new(program.to_start())), behind]
        };
        fs::remove_file(&path).unwrap();
        assert_eq!(both(), [b"here\n", b"here\n"]);
        symlink("/bin/false", &path).unwrap();
        assert_eq!(both(), [b"here\n", b"here\n"]);
        assert!(program.path().ends_with("program"));
    }
}
