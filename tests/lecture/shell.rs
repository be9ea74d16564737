//! A shell for one section, in a network and a folder of its own.

use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command as Process, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use procfs::process::all_processes;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::document::Command;
use crate::excerpt;
use crate::wait::{PATIENCE, holds_within};

/// Command that runs another one in a network of its own, in which it is root.
pub const UNSHARE: &[&str] = &["unshare", "--map-root-user", "--net"];

/// Command that makes 127.0.0.1 work there.
pub const LOOPBACK_UP: &str = "ip link set lo up";

/// Beginning of the line with the status of a command.
const STATUS: &str = "c10k-lecture-status ";

/// A running shell. All its processes are ended with it.
pub struct Shell {
    child: Child,
    /// `None` once no further command comes.
    commands: Option<ChildStdin>,
    output: Receiver<String>,
    /// Removed with the shell.
    _folder: TempDir,
}

impl Shell {
    pub fn start(path: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // One pipe for both, as on a terminal.
        let (reader, writer) = io::pipe().expect("pipes can be had");
        let mut child = Process::new(UNSHARE[0])
            .args(&UNSHARE[1..])
            .args(["bash", "-c", &format!("{LOOPBACK_UP} && exec bash")])
            .current_dir(&folder)
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            // Without the settings of a user, such as those of curl, and without a proxy.
            .env("HOME", folder.path())
            .env("no_proxy", "*")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().expect("a pipe can be shared"))
            .stderr(writer)
            .spawn()
            .expect("the machine allows it, as was tried before");
        let commands = child.stdin.take();
        Self { child, commands, output: read(reader), _folder: folder }
    }

    /// Runs a command, and checks its status and its output.
    pub fn run(&mut self, command: &Command) -> Result<(), String> {
        let text = &command.text;
        let ask = format!("{text}\nprintf '\\n{STATUS}%s\\n' \"$?\"\n");
        let commands = self.commands.as_mut().expect("the shell has not ended");
        commands.write_all(ask.as_bytes()).map_err(|error| format!("{text}: {error}"))?;
        let deadline = Instant::now() + PATIENCE;
        let mut said = String::new();
        let mut is_done = false;
        loop {
            let is_shown = || excerpt::is_in(&command.excerpt, &said);
            if is_done && (!command.is_in_background() || is_shown()) {
                break;
            }
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => match line.strip_prefix(STATUS) {
                    Some("0\n") => is_done = true,
                    Some(status) => return Err(format!("{text}\n{said}ended with {status}")),
                    None => said += &line,
                },
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("{text}\n{said}is all after {PATIENCE:?}"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("{text}\n{said}ended the shell"));
                }
            }
        }
        if !excerpt::is_in(&command.excerpt, &said) {
            let shown = command.excerpt.join("\n");
            return Err(format!("{text}\nsaid\n{said}and the document shows\n{shown}"));
        }
        Ok(())
    }

    /// Ends the shell, and checks that the section has ended what it started.
    pub fn end(mut self) -> Result<(), String> {
        drop(self.commands.take());
        // strace does not wait for the program that it ends.
        if holds_within(PATIENCE, || self.group().is_empty()) {
            return Ok(());
        }
        Err(format!("the section does not end the processes {:?}", self.group()))
    }

    /// Returns the processes that the shell has started, and that have not ended.
    fn group(&self) -> Vec<i32> {
        let group = self.child.id().cast_signed();
        let processes = all_processes().into_iter().flatten().flatten();
        let stats = processes.filter_map(|process| process.stat().ok());
        stats.filter(|stat| stat.pgrp == group && stat.state != 'Z').map(|stat| stat.pid).collect()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Until the shell is waited for, no other group has its number.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Reads lines until all programs have closed the pipe.
fn read(pipe: PipeReader) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}
