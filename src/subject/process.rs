//! The server process of a measurement: started, awaited, stopped, and never left behind.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use nix::sys::signal::{SigHandler, signal};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group,
    set_parent_process_death_signal, waitid,
};
use serde::Deserialize;
use tempfile::TempDir;

use super::client;
use crate::cgroup::OwnGroup;
use crate::cpus::{CpuList, pin_to};
use crate::interrupt::Interrupt;
use crate::network::Host;
use crate::probe::Server;

/// Time that a server may take to listen.
pub const START_TIME: Duration = Duration::from_secs(10);

/// Time that a server may take to listen behind a prefix that counts what the server does: valgrind
/// translates all of it first.
pub const START_TIME_BEHIND_A_PREFIX: Duration = Duration::from_mins(1);

/// Time that a server may take to stop: the time that it gives its requests in flight, and some
/// more.
const STOP_TIME: Duration = Duration::from_secs(10);

/// Time that a server may take to stop after an interrupt: enough for a server that has nothing to
/// finish.
const INTERRUPTED_STOP_TIME: Duration = Duration::from_millis(500);

/// Interval at which the wait for a server's first line checks for an interrupt.
const LOOK_FOR_INTERRUPT: Duration = Duration::from_millis(20);

/// Interval at which a process is polled for its end or its readiness.
const POLL_TIME: Duration = Duration::from_millis(1);

/// Bytes that are kept of a server's output, to report its last line if it fails; also the length
/// of the longest line that may announce an address.
const KEPT_BYTES: usize = 4096;

/// Time that it may take to read the last output of a server that has ended. No process is left to
/// delay it, unless the server started one outside its process group.
const LAST_WORDS_TIME: Duration = Duration::from_secs(1);

/// Error if an interrupt ends the wait for a server.
const INTERRUPTED: &str = "interrupted";

/// A command that is about to be started, and what to expect of its process.
#[derive(Debug)]
pub struct Start<'a> {
    /// Program, arguments, environment and working folder.
    pub command: Command,
    /// Processors that the process and all that it starts may use; without them, those of the
    /// caller.
    pub cpus: Option<&'a CpuList>,
    /// Address that the server is told to listen on; not used for a server that announces its own.
    pub address: SocketAddr,
    pub ready: Ready,
    /// Time that the server may take to become ready.
    pub patience: Duration,
    pub stop: Stop,
    /// Signal that the process gets if the thread that started it ends first.
    pub death: Signal,
    /// Files of the server, removed once it has ended.
    pub folder: Option<TempDir>,
    /// Host of a network that the process runs on; without it, that of the caller.
    pub host: Option<&'a Host>,
    pub interrupt: Option<&'a Interrupt>,
}

/// The sign that a server accepts connections.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// The server prints `listening on ADDRESS` as the first line of its standard output, as
    /// `c10k serve` does.
    Announced,
    /// The server accepts a connection.
    Connect,
    /// The server answers a GET of this path with a status of success.
    Http(String),
}

/// Signal that tells a server to stop, and its expected effect.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    pub signal: Signal,
    /// True if the signal may end a server that does not handle it, which is then no failure.
    pub may_end_it: bool,
}

impl Stop {
    /// True if a server that ended with this status has stopped as it should. By convention, a
    /// shell and the JVM report the signal that ended them as status 128 + its number.
    fn is_clean(self, status: ExitStatus) -> bool {
        let signal = self.signal.as_raw();
        let by_signal = status.signal() == Some(signal) || status.code() == Some(128 + signal);
        status.success() || (self.may_end_it && by_signal)
    }
}

/// A server that listens. Dropping it kills the server, and all processes of its process group.
#[derive(Debug)]
pub struct RunningSubject {
    child: Child,
    address: SocketAddr,
    stop: Stop,
    /// End of the server's standard error, sent once the server has closed it. Until then all of it
    /// is read, since a full pipe would block the server.
    last_words: Option<Receiver<Vec<u8>>>,
    /// Cgroup of the server, if one can be made: the probes read CPU time there. Removed after
    /// `drop` has ended the server.
    group: Option<OwnGroup>,
    /// Folder of the server's files. Removed after `drop` has ended the server.
    folder: Option<TempDir>,
    /// True if the server runs on a host of a network.
    has_own_host: bool,
    interrupt: Option<Interrupt>,
}

impl RunningSubject {
    /// Starts a server and waits until it is ready. Processes that the server starts have to stay
    /// in its process group.
    pub(super) fn start(start: Start<'_>) -> Result<Self> {
        let ready = start.ready.clone();
        let address = start.address;
        let patience = start.patience;
        let mut running = Self::spawn(start)?;
        match ready {
            Ready::Announced => running.address = running.await_announcement(patience)?,
            Ready::Connect => running.await_success(patience, |left| connect(address, left))?,
            Ready::Http(path) => {
                running
                    .await_success(patience, |left| client::check_answers(address, &path, left))?;
            }
        }
        Ok(running)
    }

    fn spawn(start: Start<'_>) -> Result<Self> {
        let Start {
            mut command, cpus, address, ready, stop, death, folder, host, interrupt, ..
        } = start;
        let is_read = ready == Ready::Announced;
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command.stdout(if is_read { Stdio::piped() } else { Stdio::null() });
        // Its own process group, so that Ctrl-C reaches only the runner, which then stops the
        // server.
        command.process_group(0);
        let group = OwnGroup::create().ok();
        let entrance = group.as_ref().and_then(|group| group.entrance().ok());
        set_up_process(&mut command, stop.signal, death, cpus, entrance);
        host.map_or(Ok(()), |host| host.take_in(&mut command))?;
        let child = command.spawn().map_err(|error| {
            let said = spawn_error(&command, cpus, error.kind());
            Error::new(error).context(said)
        })?;
        let group = group.filter(|group| group.group().holds(child.id()));
        let has_own_host = host.is_some();
        let interrupt = interrupt.cloned();
        let last_words = None;
        let mut running =
            Self { child, address, stop, last_words, group, folder, has_own_host, interrupt };
        running.last_words = running.child.stderr.take().map(keep_end).transpose()?;
        Ok(running)
    }

    /// Waits for the line that says where the server listens.
    fn await_announcement(&mut self, patience: Duration) -> Result<SocketAddr> {
        let stdout = self.child.stdout.take().context("it has no standard output")?;
        let lines = first_line(stdout)?;
        let deadline = Instant::now() + patience;
        let line = loop {
            match lines.recv_timeout(LOOK_FOR_INTERRUPT) {
                Ok(line) => break line?,
                Err(RecvTimeoutError::Disconnected) => bail!("nothing could be read from it"),
                Err(RecvTimeoutError::Timeout) => {}
            }
            ensure!(!self.is_interrupted(), INTERRUPTED);
            ensure!(Instant::now() < deadline, "it did not listen within {patience:?}");
        };
        match line.trim_end().strip_prefix("listening on ") {
            Some(address) => address.parse().with_context(|| format!("it listens on `{address}`")),
            None => Err(anyhow!("it said `{}`{}", line.trim_end(), self.last_words())),
        }
    }

    /// Repeats `attempt`, which gets the time that is left, until it succeeds.
    fn await_success(
        &mut self,
        patience: Duration,
        attempt: impl Fn(Duration) -> io::Result<()>,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(POLL_TIME);
            let attempted = attempt(left);
            // If the server has ended, another process may have taken the port.
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "it ended ({status}){}; a server must stay in the foreground",
                    self.last_words()
                );
            }
            let Err(error) = attempted else { return Ok(()) };
            ensure!(!self.is_interrupted(), INTERRUPTED);
            let is_late = Instant::now() >= deadline;
            ensure!(!is_late, "it was not ready on {} within {patience:?}: {error}", self.address);
            thread::sleep(POLL_TIME);
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.as_ref().is_some_and(Interrupt::happened)
    }

    /// Waits until the server has ended; returns `None` if that takes longer than it may.
    fn wait(&mut self) -> Result<Option<ExitStatus>> {
        let began = Instant::now();
        loop {
            let time = if self.is_interrupted() { INTERRUPTED_STOP_TIME } else { STOP_TIME };
            match self.child.try_wait()? {
                None if began.elapsed() < time => thread::sleep(POLL_TIME),
                status => return Ok(status),
            }
        }
    }

    /// True if the server has ended by itself. [`stop`](Self::stop) tells how.
    pub fn has_ended(&self) -> bool {
        let pid = WaitId::Pid(Pid::from_child(&self.child));
        // `NOWAIT` leaves its status for a later wait.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(pid, options).is_ok_and(|status| status.is_some())
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the folder of the server's files, which is removed once it has ended. A model has
    /// none.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(TempDir::path)
    }

    /// Returns the process id of the server; processes that it forks are children of it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns what the probes have to know of the server.
    pub fn server(&self) -> Server {
        let group = self.group.as_ref().map(|group| group.group().clone());
        Server { pid: self.pid(), group, has_own_host: self.has_own_host }
    }

    /// Stops the server with its stop signal, as its user would.
    ///
    /// # Errors
    /// When the server has ended by itself, does not stop, or stops with a failure: a server that
    /// crashed under load has not been measured.
    pub fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server ended by itself ({status}){}", self.last_words());
        }
        kill_process(Pid::from_child(&self.child), self.stop.signal)
            .context("cannot stop the server")?;
        match self.wait()? {
            None if self.is_interrupted() => bail!(INTERRUPTED),
            None => bail!("the server did not stop within {STOP_TIME:?}, it was killed"),
            Some(status) if self.stop.is_clean(status) => Ok(()),
            Some(status) => bail!("the server stopped badly ({status}){}", self.last_words()),
        }
    }

    /// Returns the last line that an ended server said on standard error, after a colon; empty if
    /// there is none.
    fn last_words(&mut self) -> String {
        let (Ok(Some(_)), Some(last_words)) = (self.wait(), &self.last_words) else {
            return String::new();
        };
        // A child that the server left behind would hold the pipe open.
        kill_group(&self.child);
        let text = last_words.recv_timeout(LAST_WORDS_TIME).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.trim().lines().next_back().map_or_else(String::new, |line| format!(": {line}"))
    }
}

impl Drop for RunningSubject {
    fn drop(&mut self) {
        // After `stop` no process is left to kill, and this does nothing.
        kill_group(&self.child);
        let _ = self.child.wait();
    }
}

/// Sets up the process before it becomes the server: its signals, its cgroup and its processors.
fn set_up_process(
    command: &mut Command,
    stop: Signal,
    death: Signal,
    cpus: Option<&CpuList>,
    group_entrance: Option<File>,
) {
    let cpus = cpus.map(CpuList::set);
    let stop = nix::sys::signal::Signal::try_from(stop.as_raw()).ok();
    let set_up = move || {
        set_parent_process_death_signal(Some(death))?;
        // A shell starts background processes with SIGINT and SIGQUIT ignored, and a server that is
        // a script could not change that any more.
        if let Some(stop) = stop {
            // SAFETY: it makes a system call, and the default action is no function of this
            // process.
            unsafe { signal(stop, SigHandler::SigDfl) }?;
        }
        if let Some(entrance) = &group_entrance {
            // A server that can't join is still measured; `spawn` checks if it did.
            let _ = rustix::io::write(entrance, b"0");
        }
        cpus.as_ref().map_or(Ok(()), pin_to)?;
        Ok(())
    };
    // SAFETY: between fork and exec, `set_up` makes system calls only, the one on a file that was
    // opened before; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(set_up) };
}

fn spawn_error(command: &Command, cpus: Option<&CpuList>, kind: ErrorKind) -> String {
    let program = Path::new(command.get_program()).display();
    match (kind, cpus) {
        // The kernel's error for a fork beyond the limit.
        (ErrorKind::WouldBlock, _) => {
            format!("cannot start {program}: no further process is allowed, see `ulimit -u`")
        }
        (ErrorKind::InvalidInput, Some(cpus)) => {
            format!("cannot start {program} on processors {cpus}; does this machine have them?")
        }
        _ => format!("cannot start {program}"),
    }
}

/// Connects to a server. While no process listens on the port, the kernel may give that port to the
/// client and connect it with itself, which is refused here.
fn connect(address: SocketAddr, patience: Duration) -> io::Result<()> {
    let is_itself = TcpStream::connect_timeout(&address, patience)?.local_addr()? == address;
    if is_itself { Err(ErrorKind::ConnectionRefused.into()) } else { Ok(()) }
}

/// Reads the first line of `stdout`, and then reads and drops the rest: a server may log there, and
/// would be blocked or killed if no process read it.
fn first_line(stdout: ChildStdout) -> Result<Receiver<io::Result<String>>> {
    let (sender, receiver) = bounded(1);
    start_reader(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.by_ref().take(KEPT_BYTES as u64).read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
        let _ = io::copy(&mut stdout, &mut io::sink());
    })?;
    Ok(receiver)
}

/// Reads all of `pipe`, and sends its last bytes when there is no more.
fn keep_end(mut pipe: impl Read + Send + 'static) -> Result<Receiver<Vec<u8>>> {
    let (sender, receiver) = bounded(1);
    start_reader(move || {
        let mut end = End::default();
        let _ = io::copy(&mut pipe, &mut end);
        let _ = sender.send(end.0);
    })?;
    Ok(receiver)
}

/// Starts a thread that ends with the server, and takes no processor time while the server is
/// silent.
fn start_reader(read: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .spawn(read)
        .context("cannot start a thread that reads what the server says")?;
    Ok(())
}

/// A writer that keeps the end of what is written to it.
#[derive(Debug, Default)]
struct End(Vec<u8>);

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        self.0.drain(..self.0.len().saturating_sub(KEPT_BYTES));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Kills a server and all that it started, since a server that is killed ends no children.
fn kill_group(child: &Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that announces itself, says 1 MiB on each of its outputs, then makes the file
    /// `said`, and can be stopped from then on.
    const TALKATIVE: &str = "set -e; trap 'exit 1' TERM; echo 'listening on 127.0.0.1:1'
        yes to standard output | head -c 1048576
        yes to standard error | head -c 1048576 >&2
        trap 'exit 0' TERM; : > said; sleep 60 & wait $!";

    /// Returns the start of a script in a folder, with the sign by which it becomes ready.
    fn shell(script: &str, folder: &Path, ready: Ready) -> Start<'static> {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(folder);
        let stop = Stop { signal: Signal::TERM, may_end_it: false };
        let death = Signal::KILL;
        let patience = START_TIME;
        Start {
            command,
            cpus: None,
            address,
            ready,
            patience,
            stop,
            death,
            folder: None,
            host: None,
            interrupt: None,
        }
    }

    #[track_caller]
    fn assert_says_all_and_stops(address: SocketAddr, ready: Ready) {
        let folder = tempfile::tempdir().unwrap();
        let start = shell(TALKATIVE, folder.path(), ready);
        let server = RunningSubject::start(Start { address, ..start }).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !folder.path().join("said").exists() {
            assert!(Instant::now() < deadline, "the server was blocked or killed");
            thread::sleep(POLL_TIME);
        }
        server.stop().unwrap();
    }

    #[test]
    fn a_server_may_say_as_much_as_it_likes() {
        assert_says_all_and_stops(SocketAddr::from(([127, 0, 0, 1], 1)), Ready::Announced);
    }

    #[test]
    fn so_may_a_server_that_does_not_announce_itself() {
        // Accepts the connection that tells that the server listens.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_says_all_and_stops(listener.local_addr().unwrap(), Ready::Connect);
    }

    #[test]
    fn the_last_line_of_a_server_that_fails_is_told_however_much_it_said() {
        let script =
            "yes to standard error | head -c 1048576 >&2; printf '\nout of luck\n' >&2; exit 3";
        let failed =
            RunningSubject::start(shell(script, Path::new("."), Ready::Announced)).unwrap_err();
        assert_eq!(failed.to_string(), "it said ``: out of luck");
    }

    /// Starts a server that begins with `script`, and returns the result of stopping it.
    fn stopped(script: &str, stop: Stop) -> Result<()> {
        let script =
            format!("{script}; echo 'listening on 127.0.0.1:1'; while :; do sleep 0.01; done");
        let start = shell(&script, Path::new("."), Ready::Announced);
        RunningSubject::start(Start { stop, ..start }).unwrap().stop()
    }

    #[test]
    fn a_server_that_its_own_stop_signal_ends_has_stopped_where_that_is_allowed() {
        let stop = Stop { signal: Signal::TERM, may_end_it: true };
        stopped(":", stop).unwrap();
        stopped("trap 'exit 143' TERM", stop).unwrap();
        for (script, expected) in
            [("trap 'exit 3' TERM", "3"), ("trap 'kill -9 $$' TERM", "9 (SIGKILL)")]
        {
            let failed = stopped(script, stop).unwrap_err().to_string();
            assert!(failed.contains("stopped badly") && failed.contains(expected), "{failed}");
        }
        let failed = stopped(":", Stop { may_end_it: false, ..stop }).unwrap_err().to_string();
        assert!(failed.contains("15 (SIGTERM)"), "{failed}");
    }

    #[test]
    fn a_server_is_stopped_with_its_own_signal() {
        let script = "trap 'exit 1' TERM; trap 'exit 0' QUIT";
        stopped(script, Stop { signal: Signal::QUIT, may_end_it: false }).unwrap();
    }

    #[test]
    fn a_server_that_ends_at_once_is_told_from_one_that_is_slow() {
        let start = shell("echo no port >&2; exit 1", Path::new("."), Ready::Connect);
        let failed = RunningSubject::start(start).unwrap_err();
        assert!(failed.to_string().contains("no port"), "{failed}");
    }

    #[test]
    fn a_server_runs_on_the_processors_that_it_was_given() {
        let last = *CpuList::available().unwrap().numbers().last().unwrap();
        let cpus: CpuList = last.to_string().parse().unwrap();
        let script = "grep Cpus_allowed_list /proc/self/status > cpus; echo 'listening on 127.0.0.1:1'; sleep 60";
        let folder = tempfile::tempdir().unwrap();
        let start = shell(script, folder.path(), Ready::Announced);
        let _server = RunningSubject::start(Start { cpus: Some(&cpus), ..start }).unwrap();
        let found = std::fs::read_to_string(folder.path().join("cpus")).unwrap();
        assert_eq!(found.split_whitespace().last(), Some(&*cpus.to_string()));
    }

    #[test]
    fn processors_that_this_machine_has_not_are_refused() {
        let cpus: CpuList = "0,1023".parse().unwrap();
        let start = shell(":", Path::new("."), Ready::Announced);
        let failed = RunningSubject::start(Start { cpus: Some(&cpus), ..start }).unwrap_err();
        assert!(failed.to_string().contains("processors 0,1023"), "{failed}");
    }

    #[test]
    fn a_server_is_in_a_cgroup_of_its_own_which_is_gone_when_it_has_ended() {
        if let Some(reason) = crate::cgroup::why_none() {
            eprintln!("left out: {reason}");
            return;
        }
        let start = || {
            let script = "(sleep 60) & echo 'listening on 127.0.0.1:1'; wait";
            RunningSubject::start(shell(script, Path::new("."), Ready::Announced)).unwrap()
        };
        let servers = [start(), start()];
        let groups = servers.each_ref().map(|server| server.server().group.unwrap());
        for (server, other) in [(0, 1), (1, 0)] {
            assert!(
                groups[server].holds(servers[server].pid())
                    && !groups[other].holds(servers[server].pid())
            );
        }
        // This kills both servers, and the child that each group has as well.
        drop(servers);
        assert!(groups.iter().all(|group| group.cpu_time().is_err()));
    }

    #[test]
    fn a_server_that_cannot_join_a_cgroup_is_started_all_the_same() {
        let mut command = Command::new("true");
        let refuses = File::options().write(true).open("/dev/full").unwrap();
        set_up_process(&mut command, Signal::TERM, Signal::KILL, None, Some(refuses));
        assert!(command.status().unwrap().success());
    }
}
