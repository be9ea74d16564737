//! The server process of a measurement: started, awaited, stopped, and never left behind.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, set_parent_process_death_signal};

/// How long a server may take to listen.
const START_TIME: Duration = Duration::from_secs(10);

/// How long a server may take to stop: the time that it gives its requests in flight, and some more.
const STOP_TIME: Duration = Duration::from_secs(10);

/// How often the end of a process is looked for.
const POLL_TIME: Duration = Duration::from_millis(1);

/// How much is kept of what a server says, to tell its last line if it fails; also the longest line that says an address.
const KEPT_BYTES: usize = 4096;

/// How long the last words of a server that is gone may take to be read. Nobody is left to hold them back, unless it started
/// something outside its process group.
const LAST_WORDS_TIME: Duration = Duration::from_secs(1);

/// A server that listens. Dropping it kills it, and all that it started.
#[derive(Debug)]
pub struct RunningSubject {
    child: Child,
    address: SocketAddr,
    /// The end of what it said on standard error, once it has said all. Until then it is read and dropped all the time: a
    /// pipe that is full would block the server.
    last_words: Option<Receiver<Vec<u8>>>,
}

impl RunningSubject {
    /// Starts `c10k serve MODEL` with further arguments on a free port, and waits until it listens.
    pub fn start(c10k: &Path, model: &str, args: &[String]) -> Result<Self> {
        let mut command = Command::new(c10k);
        command.args(["serve", model, "--addr", "127.0.0.1:0"]).args(args);
        Self::announced(command).with_context(|| format!("the server {model} did not start"))
    }

    /// Starts a server that says on its standard output where it listens, as `c10k serve` does, and waits for that.
    pub fn announced(mut command: Command) -> Result<Self> {
        command.stdout(Stdio::piped());
        let mut running = Self::spawn(command, Signal::KILL)?;
        running.address = running.await_address()?;
        Ok(running)
    }

    /// Starts a server that listens on `address` without a word, and waits until it accepts a connection. What it starts
    /// itself has to stay in its process group.
    pub fn silent(mut command: Command, address: SocketAddr) -> Result<Self> {
        command.stdout(Stdio::null());
        // Not killed where this process dies: its children would outlive it. They are its own to end.
        let mut running = Self::spawn(command, Signal::TERM)?;
        running.address = address;
        running.await_connection()?;
        Ok(running)
    }

    /// Starts a process that gets `death_signal` should this one die.
    fn spawn(mut command: Command, death_signal: Signal) -> Result<Self> {
        // A group of its own: Ctrl-C is for the runner, which stops the server in its own time.
        command.stdin(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        // SAFETY: between fork and exec it makes one system call, prctl(2), and touches no memory of the parent.
        unsafe { command.pre_exec(move || Ok(set_parent_process_death_signal(Some(death_signal))?)) };
        let spawned = command.spawn();
        let child = spawned
            .with_context(|| format!("cannot start {}", Path::new(command.get_program()).display()))?;
        let mut running = Self { child, address: SocketAddr::from(([0; 4], 0)), last_words: None };
        running.last_words = running.child.stderr.take().map(keep_end).transpose()?;
        Ok(running)
    }

    /// Waits for the line that says where the server listens.
    fn await_address(&mut self) -> Result<SocketAddr> {
        let stdout = self.child.stdout.take().context("it has no standard output")?;
        let line = match first_line(stdout)?.recv_timeout(START_TIME) {
            Ok(line) => line?,
            Err(RecvTimeoutError::Timeout) => bail!("it did not listen within {START_TIME:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("nothing could be read from it"),
        };
        match line.trim_end().strip_prefix("listening on ") {
            Some(address) => address.parse().with_context(|| format!("it listens on `{address}`")),
            None => Err(anyhow!("it said `{}`{}", line.trim_end(), self.last_words())),
        }
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

    /// What a server that has ended said last, on one line.
    fn last_words(&mut self) -> String {
        let (Ok(Some(_)), Some(last_words)) = (wait(&mut self.child), &self.last_words) else {
            return String::new();
        };
        // A child that it left behind would hold the pipe open.
        kill_group(&self.child);
        let text = last_words.recv_timeout(LAST_WORDS_TIME).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.trim().lines().next_back().map_or_else(String::new, |line| format!(": {line}"))
    }
}

impl Drop for RunningSubject {
    fn drop(&mut self) {
        // After `stop` there is nobody left to kill, and this does nothing.
        kill_group(&self.child);
        let _ = self.child.wait();
    }
}

/// Reads the first line of `stdout`, and goes on to read: a server may log there, and would be blocked or killed if nobody did.
fn first_line(stdout: ChildStdout) -> Result<Receiver<io::Result<String>>> {
    let (sender, receiver) = bounded(1);
    start_reader(move || {
        let (mut stdout, mut line) = (BufReader::new(stdout), String::new());
        let read = stdout.by_ref().take(KEPT_BYTES as u64).read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
        let _ = io::copy(&mut stdout, &mut io::sink());
    })?;
    Ok(receiver)
}

/// Reads all of `pipe`, and gives the end of it when there is no more.
fn keep_end(mut pipe: impl Read + Send + 'static) -> Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = bounded(1);
    start_reader(move || {
        let mut end = End::default();
        let _ = io::copy(&mut pipe, &mut end);
        let _ = sender.send(end.0);
    })?;
    Ok(receiver)
}

/// Starts a thread that ends with the server, and takes no processor time while that says nothing.
fn start_reader(read: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new().spawn(read).context("cannot start a thread that reads what the server says")?;
    Ok(())
}

/// Keeps the end of what is written to it.
#[derive(Debug, Default)]
struct End(Vec<u8>);

impl Write for End {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(octets);
        self.0.drain(..self.0.len().saturating_sub(KEPT_BYTES));
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Kills a server and all that it started, for a server that is killed ends no children.
fn kill_group(child: &Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that announces itself, says 1 MiB on each of its outputs, then makes the file `said`, and can be stopped
    /// from then on.
    const TALKATIVE: &str = "set -e; trap 'exit 1' TERM; echo 'listening on 127.0.0.1:1'
        yes to standard output | head -c 1048576
        yes to standard error | head -c 1048576 >&2
        trap 'exit 0' TERM; : > said; sleep 60 & wait $!";

    fn shell(script: &str, folder: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(folder);
        command
    }

    #[track_caller]
    fn assert_says_all_and_stops(server: RunningSubject, folder: &Path) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !folder.join("said").exists() {
            assert!(Instant::now() < deadline, "the server was blocked or killed");
            thread::sleep(POLL_TIME);
        }
        server.stop().unwrap();
    }

    #[test]
    fn a_server_may_say_as_much_as_it_likes() {
        let folder = tempfile::tempdir().unwrap();
        let server = RunningSubject::announced(shell(TALKATIVE, folder.path())).unwrap();
        assert_eq!(server.address(), SocketAddr::from(([127, 0, 0, 1], 1)));
        assert_says_all_and_stops(server, folder.path());
    }

    #[test]
    fn so_may_a_server_that_does_not_announce_itself() {
        let folder = tempfile::tempdir().unwrap();
        // Somebody has to take the connection that tells that it listens.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = RunningSubject::silent(shell(TALKATIVE, folder.path()), address).unwrap();
        assert_says_all_and_stops(server, folder.path());
    }

    #[test]
    fn the_last_line_of_a_server_that_fails_is_told_however_much_it_said() {
        let script = "yes to standard error | head -c 1048576 >&2; printf '\nout of luck\n' >&2; exit 3";
        let failed = RunningSubject::announced(shell(script, Path::new("."))).unwrap_err();
        assert_eq!(failed.to_string(), "it said ``: out of luck");
    }
}
