//! The command that builds a revision: run in its checkout, and ended with all that it started when
//! the user interrupts the gate.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};

use crate::interrupt::Interrupt;

/// How often the end of a build is looked for.
const POLL_TIME: Duration = Duration::from_millis(20);

/// A command of the user that builds.
#[derive(Debug)]
pub struct BuildCommand<'a> {
    line: &'a str,
    words: Vec<String>,
}

impl<'a> BuildCommand<'a> {
    /// Splits a command line into words, as a shell does.
    pub fn parse(line: &'a str) -> Result<Self> {
        let words = shlex::split(line).filter(|words| !words.is_empty());
        let words = words.with_context(|| format!("--build `{line}` is empty, or a quote has no end"))?;
        Ok(Self { line, words })
    }

    /// The command as it was given.
    pub fn line(&self) -> &str {
        self.line
    }

    /// Runs it in `folder`. All that it prints goes to standard error: standard output is for the
    /// result of the gate.
    ///
    /// # Errors
    /// When it fails or is interrupted.
    pub fn run(&self, folder: &Path, interrupt: &Interrupt) -> Result<()> {
        let status = wait(self.spawn(folder)?, interrupt)?;
        if !status.success() {
            bail!("`{}` failed ({status})", self.line);
        }
        Ok(())
    }

    fn spawn(&self, folder: &Path) -> Result<Child> {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).current_dir(folder);
        command.stdin(Stdio::null()).stdout(std::io::stderr());
        let (name, target) = target_folder(folder);
        command.env(name, target);
        // Its own group, so that the end of the group is the end of all its children.
        command.process_group(0);
        let die_with_gate = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
        // SAFETY: between fork and exec it makes one system call; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(die_with_gate) };
        command.spawn().with_context(|| format!("cannot run `{}`", self.line))
    }
}

/// The variable by which cargo builds into the folder of a checkout, and its value: a target folder
/// that the user has set for all projects would have both sides in the same files.
pub fn target_folder(checkout: &Path) -> (&'static str, PathBuf) {
    ("CARGO_TARGET_DIR", checkout.join("target"))
}

/// Waits for the end of the command, or for an interrupt, and leaves nothing of its group behind: what
/// a build leaves running would disturb the measurement.
fn wait(mut child: Child, interrupt: &Interrupt) -> Result<ExitStatus> {
    let mut ended = child.try_wait();
    while matches!(ended, Ok(None)) && !interrupt.happened() {
        thread::sleep(POLL_TIME);
        ended = child.try_wait();
    }
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    child.wait().context("cannot wait for the build")
}
