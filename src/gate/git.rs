//! Git commands of a gate: they run in the repository of a folder, no matter what environment
//! variables say, and without hooks or file monitors of the user.

use std::ffi::OsString;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::child;
use crate::interrupt::Interrupt;

/// Variables by which git tells its children, such as hooks, about a repository.
const OF_A_REPOSITORY: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
];

/// Settings of every command: no hooks, which could change anything; no file monitor, which would
/// keep running in the background; and each index in a single file, so that a copy is complete.
const SETTINGS: &[&str] =
    &["core.hooksPath=/dev/null", "core.fsmonitor=false", "core.splitIndex=false"];

/// Returns a git command in `folder`, still without its subcommand.
pub fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    // Without optional locks: the user's index is not refreshed.
    command.arg("--no-optional-locks").arg("-C").arg(folder).stdin(Stdio::null());
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    forget_repository(&mut command);
    command
}

/// Makes a command find the repository of its own folder, even if a git hook runs the gate.
pub fn forget_repository(command: &mut Command) {
    for name in OF_A_REPOSITORY {
        command.env_remove(name);
    }
}

/// Runs a command, and returns all that it prints.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().context("cannot run git, is it installed?")?;
    if !output.status.success() {
        bail!("git: {}", reason(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(output.stdout)
}

/// Runs a command that may take long, and ends it when the user interrupts the gate.
pub fn run(command: &mut Command, interrupt: &Interrupt) -> Result<()> {
    let mut said = tempfile::tempfile().context("cannot make a temporary file")?;
    command.stdout(Stdio::null()).stderr(said.try_clone()?);
    if !child::run(command, interrupt)?.success() {
        let mut text = Vec::new();
        said.rewind()?;
        said.read_to_end(&mut text)?;
        bail!("git: {}", reason(&String::from_utf8_lossy(&text)));
    }
    Ok(())
}

/// Runs a command, and returns the path that it prints.
pub fn path(command: &mut Command) -> Result<PathBuf> {
    let mut bytes = output(command)?;
    bytes.truncate(bytes.strip_suffix(b"\n").unwrap_or(&bytes).len());
    Ok(OsString::from_vec(bytes).into())
}

/// Runs a command, and returns the line that it prints.
pub fn line(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8_lossy(&output(command)?).trim_end().to_owned())
}

/// Returns the reason why git failed, with the command that git advises.
fn reason(said: &str) -> String {
    let is_reason = |line: &&str| line.starts_with("fatal: ") || line.starts_with("error: ");
    let reason = said.lines().find(is_reason).or_else(|| said.lines().next_back());
    let reason = reason.unwrap_or("it failed without a message");
    match said.lines().map(str::trim).find(|line| line.starts_with("git config ")) {
        Some(advice) => format!("{reason}; run `{advice}`"),
        None => reason.to_owned(),
    }
}
