//! The program that serves the models, held open from the start of a harness to its end.
//!
//! A build or an upgrade may replace or remove its file between two measurements. The program that
//! was there when the harness began is still the one that is measured.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::geteuid;
use rustix::thread::capabilities;

/// The program of this process.
const OWN: &str = "/proc/self/exe";

/// A program whose file is open for as long as this value lives.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    /// The open file; `None` if it could not be opened: the start of the program then says why.
    file: Option<File>,
}

impl Program {
    /// Opens the program that this process runs, even if its file is already gone.
    ///
    /// # Errors
    /// Without `/proc`, which tells the program of this process.
    pub fn this() -> Result<Self> {
        let cannot_find = "cannot find the program that serves, which is this one";
        let path = std::env::current_exe().context(cannot_find)?;
        Ok(Self { path, file: Some(File::open(OWN).context(cannot_find)?) })
    }

    /// Opens the program at this path.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), file: File::open(path).ok() }
    }

    /// Returns the path of the program when it was opened. Programs that belong to it lie in the
    /// same folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path by which a forked process starts the program; it leads to the open file.
    pub(super) fn to_start(&self) -> PathBuf {
        self.open_in("self")
    }

    /// Returns the path by which a prefix such as `strace` starts the program. The prefix has
    /// closed the files that it was forked with, so that the path leads to the open file of this
    /// process. If this process has capabilities, which it gets in a user namespace, the kernel does
    /// not let a process without them look up its open files. Then the path is that of the program,
    /// as long as the file there is still the one that was opened.
    pub(super) fn to_start_behind_a_prefix(&self) -> PathBuf {
        if has_more_rights_than_its_children() && self.is_unchanged().unwrap_or(false) {
            return self.path.clone();
        }
        self.open_in(&std::process::id().to_string())
    }

    /// True if the path leads to the open file.
    fn is_unchanged(&self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        Ok(identity(fs::metadata(&self.path)?) == identity(file.metadata()?))
    }

    fn open_in(&self, process: &str) -> PathBuf {
        let Some(file) = &self.file else { return self.path.clone() };
        format!("/proc/{process}/fd/{}", file.as_raw_fd()).into()
    }
}

/// True if this process has capabilities and a program that it starts will have none: only a
/// program that root starts keeps them.
fn has_more_rights_than_its_children() -> bool {
    let has_some = capabilities(None).is_ok_and(|sets| !sets.permitted.is_empty());
    has_some && !geteuid().is_root()
}

#[cfg(test)]
mod tests {
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
        assert!(program.is_unchanged().unwrap());
        let both = || {
            let behind = said(Command::new("env").arg(program.to_start_behind_a_prefix()));
            [said(&mut Command::new(program.to_start())), behind]
        };
        fs::remove_file(&path).unwrap();
        program.is_unchanged().unwrap_err();
        assert_eq!(both(), [b"here\n", b"here\n"]);
        symlink("/bin/false", &path).unwrap();
        assert!(!program.is_unchanged().unwrap());
        assert_eq!(both(), [b"here\n", b"here\n"]);
        assert!(program.path().ends_with("program"));
    }
}
