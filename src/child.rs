//! Commands that may take long, such as a build. An interrupt ends the command at once, with all
//! processes that it has started. If this process is killed, the command ends with it, but processes
//! that the command has started keep running.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};

use crate::interrupt::Interrupt;

/// Interval at which the end of a command is polled.
const POLL_TIME: Duration = Duration::from_millis(10);

/// Runs a command to its end, or to an interrupt.
pub fn run(command: &mut Command, interrupt: &Interrupt) -> Result<ExitStatus> {
    // Its own process group: killing the group ends all children of the command.
    command.process_group(0);
    let die_with_parent = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: between fork and exec it makes one system call; it neither allocates nor takes a
    // lock.
    unsafe { command.pre_exec(die_with_parent) };
    let child = command.spawn().with_context(|| {
        let program = command.get_program().display();
        format!("cannot run {program}, is it installed?")
    })?;
    wait(child, interrupt)
}

/// Waits for the end of a command, or for an interrupt. Then it ends the processes that the command
/// left running in its group: they would disturb the measurement.
fn wait(mut child: Child, interrupt: &Interrupt) -> Result<ExitStatus> {
    let mut ended = child.try_wait();
    while matches!(ended, Ok(None)) && !interrupt.happened() {
        thread::sleep(POLL_TIME);
        ended = child.try_wait();
    }
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    child.wait().context("cannot wait for its end")
}
