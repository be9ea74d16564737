//! The server process of a measurement: started, awaited, stopped, and never left behind.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use crossbeam::channel::{RecvTimeoutError, bounded};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

/// How long a server may take to listen.
const START_TIME: Duration = Duration::from_secs(10);

/// How long a server may take to stop: the time that it gives its requests in flight, and some more.
const STOP_TIME: Duration = Duration::from_secs(10);

/// How often the end of a process is looked for.
const POLL_TIME: Duration = Duration::from_millis(1);

/// A server that listens. Dropping it kills it.
#[derive(Debug)]
pub struct RunningSubject {
    child: Child,
    address: SocketAddr,
}

impl RunningSubject {
    /// Starts `c10k serve MODEL` with further arguments on a free port, and waits until it listens.
    pub fn start(c10k: &Path, model: &str, args: &[String]) -> Result<Self> {
        let mut command = Command::new(c10k);
        command.args(["serve", model, "--addr", "127.0.0.1:0"]).args(args);
        // A group of its own: Ctrl-C is for the runner, which stops the server in its own time.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        // SAFETY: between fork and exec it makes one system call, prctl(2), and touches no memory of the parent.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
        let mut child = command.spawn().with_context(|| format!("cannot start {}", c10k.display()))?;
        match await_address(&mut child) {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error.context(format!("the server {model} did not start")))
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id; what it forks are children of that.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as its user would, with SIGTERM.
    ///
    /// # Errors
    /// When it does not stop, or not with status 0: a server that crashed under load has not been measured.
    pub fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself ({status}){}", self.last_words());
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("cannot stop the server")?;
        match wait(&mut self.child)? {
            None => bail!("the server did not stop within {STOP_TIME:?}, it was killed"),
            Some(status) if !status.success() => {
                bail!("the server stopped badly ({status}){}", self.last_words())
            }
            Some(_) => Ok(()),
        }
    }

    fn last_words(&mut self) -> String {
        last_words(&mut self.child)
    }
}

impl Drop for RunningSubject {
    fn drop(&mut self) {
        // After `stop` there is nothing left to kill, and this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the line that says where the server listens.
fn await_address(child: &mut Child) -> Result<SocketAddr> {
    let stdout = child.stdout.take().context("it has no standard output")?;
    let (sender, receiver) = bounded(1);
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
    });
    let line = match receiver.recv_timeout(START_TIME) {
        Ok(line) => line?,
        Err(RecvTimeoutError::Timeout) => bail!("it did not listen within {START_TIME:?}"),
        Err(RecvTimeoutError::Disconnected) => bail!("nothing could be read from it"),
    };
    match line.trim_end().strip_prefix("listening on ") {
        Some(address) => address.parse().with_context(|| format!("it listens on `{address}`")),
        None => Err(anyhow!("it said `{}`{}", line.trim_end(), last_words(child))),
    }
}

/// What a server that has ended said last, on one line.
fn last_words(child: &mut Child) -> String {
    let mut text = String::new();
    if let (Ok(Some(_)), Some(stderr)) = (wait(child), &mut child.stderr) {
        let _ = stderr.read_to_string(&mut text);
    }
    text.trim().lines().next_back().map_or_else(String::new, |line| format!(": {line}"))
}

fn wait(child: &mut Child) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + STOP_TIME;
    loop {
        match child.try_wait()? {
            None if Instant::now() < deadline => thread::sleep(POLL_TIME),
            status => return Ok(status),
        }
    }
}
