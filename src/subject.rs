//! The server process of a measurement: started, awaited, stopped, and never left behind.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use crossbeam::channel::{RecvTimeoutError, bounded};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, set_parent_process_death_signal};

/// How long a server may take to listen.
const START_TIME: Duration = Duration::from_secs(10);

/// How long a server may take to stop: the time that it gives its requests in flight, and some more.
const STOP_TIME: Duration = Duration::from_secs(10);

/// How often the end of a process is looked for.
const POLL_TIME: Duration = Duration::from_millis(1);

/// A server that listens. Dropping it kills it, and all that it started.
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
        Self::announced(command).with_context(|| format!("the server {model} did not start"))
    }

    /// Starts a server that says on its standard output where it listens, as `c10k serve` does, and waits for that.
    pub fn announced(command: Command) -> Result<Self> {
        let mut running = Self::spawn(command, Signal::KILL)?;
        running.address = await_address(&mut running.child)?;
        Ok(running)
    }

    /// Starts a server that listens on `address` without a word, and waits until it accepts a connection. What it starts
    /// itself has to stay in its process group.
    pub fn silent(command: Command, address: SocketAddr) -> Result<Self> {
        // Not killed where this process dies: its children would outlive it. They are its own to end.
        let mut running = Self::spawn(command, Signal::TERM)?;
        running.address = address;
        running.await_connection()?;
        Ok(running)
    }

    /// Starts a process that gets `death_signal` should this one die.
    fn spawn(mut command: Command, death_signal: Signal) -> Result<Self> {
        // A group of its own: Ctrl-C is for the runner, which stops the server in its own time.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        // SAFETY: between fork and exec it makes one system call, prctl(2), and touches no memory of the parent.
        unsafe { command.pre_exec(move || Ok(set_parent_process_death_signal(Some(death_signal))?)) };
        let spawned = command.spawn();
        let child = spawned
            .with_context(|| format!("cannot start {}", Path::new(command.get_program()).display()))?;
        Ok(Self { child, address: SocketAddr::from(([0; 4], 0)) })
    }

    fn await_connection(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIME;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status}){}", self.last_words());
            }
            ensure!(Instant::now() < deadline, "it did not listen on {} within {START_TIME:?}", self.address);
            thread::sleep(POLL_TIME);
        }
        Ok(())
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
        // After `stop` there is nobody left to kill, and this does nothing.
        kill_group(&self.child);
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

/// Kills a server and all that it started, for a server that is killed ends no children.
fn kill_group(child: &Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

/// What a server that has ended said last, on one line.
fn last_words(child: &mut Child) -> String {
    let mut text = String::new();
    if let (Ok(Some(_)), Some(mut stderr)) = (wait(child), child.stderr.take()) {
        // A child that it left behind would hold the pipe open.
        kill_group(child);
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
