//! A server process under test: a test starts it and waits for it, and the process is gone when the
//! test ends, in any way.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use c10k_servers::{ConnectionLimit, Execution};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::client::Client;
use crate::model::{C10K, Model};
use crate::processes::{Process, descendants};
use crate::wait::{self, PATIENCE};

/// Size of a pool, of workers or of threads for handlers: enough for the handful of clients that
/// most tests have. Pools with their default size would start hundreds of threads in each test.
pub const WORKERS: usize = 16;

/// Number of loops in models that have several; more than there are processors on the smallest
/// machine.
const LOOPS: usize = 3;

/// Time for which CPU time is measured or silence is checked. It is not a wait for something to
/// happen.
pub const WINDOW: Duration = Duration::from_millis(400);

/// Share of one processor that separates servers: one that waits properly takes less, one that
/// spins takes more.
const SPINNING: f64 = 0.5;

/// Message of the panic in the handler of `/panic`.
const WANTED_PANIC: &str = "a client asked for a panic";

/// Panic messages of runtimes that get no thread.
const PANICS_WITHOUT_THREADS: [&str; 2] =
    ["OS can't spawn worker thread", "failed to spawn thread"];

/// A server before its start.
#[derive(Debug, Clone)]
pub struct Launch {
    model: Model,
    address: SocketAddr,
    workers: usize,
    handler_threads: usize,
    arguments: Vec<String>,
    /// Shell commands that set limits.
    limits: Vec<String>,
    user: Option<u32>,
    own_group: bool,
    lacks_threads: bool,
}

impl Launch {
    /// Makes the server listen on `address` rather than on any free port.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Sets the number of connections that are served at once, where that depends on a pool.
    pub fn pool(mut self, workers: usize) -> Self {
        if self.model.profile.connection_limit == ConnectionLimit::Workers {
            self.workers = workers;
        }
        self
    }

    /// Sets the number of workers or loops that serve connections, whichever the model has.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets the number of threads that run handlers, where the model has such threads.
    pub fn handler_threads(mut self, threads: usize) -> Self {
        self.handler_threads = threads;
        self
    }

    /// Gives the server a single queue of waiting connections, and so an order among them. Loops
    /// with listeners of their own have one queue each, so such a server has one loop.
    pub fn one_queue(self) -> Self {
        if self.model.is_sharded() { self.workers(1) } else { self }
    }

    /// Adds arguments of `c10k serve`.
    pub fn arguments<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets the limit of open files, soft and hard, from the start.
    pub fn open_files(mut self, limit: u64) -> Self {
        self.limits.push(format!("ulimit -n {limit}"));
        self
    }

    /// Starts the server where it can make no process and no thread. Shells differ in the name of
    /// that limit.
    pub fn no_more_processes(mut self) -> Self {
        self.limits.push("{ ulimit -u 0 2>/dev/null || ulimit -p 0; }".into());
        self
    }

    /// Runs the server as another user.
    pub fn user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// Allows the server to report that it gets no threads.
    pub fn lacks_threads(mut self) -> Self {
        self.lacks_threads = true;
        self
    }

    /// Makes the server the leader of a group of processes, as a shell with job control does.
    pub fn own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Starts the server and waits until it listens.
    pub fn start(self) -> Server {
        self.try_start().expect("c10k serve can be started")
    }

    /// Starts the server and waits until it listens; returns an error if its process can't be made.
    pub fn try_start(self) -> std::io::Result<Server> {
        let stderr = tempfile::tempfile()?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr.try_clone()?);
        let Self { model, workers, address, lacks_threads, .. } = self;
        let child = command.spawn()?;
        let mut server =
            Server { model, workers, child, address, stderr, lacks_threads, ended: None };
        server.address = server.await_listening_line();
        Ok(server)
    }

    /// Runs a server that is expected to end by itself.
    pub fn run_to_its_end(self) -> std::io::Result<Output> {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // The output is small enough for the pipes.
        if !wait::holds_within(PATIENCE, || !matches!(child.try_wait(), Ok(None))) {
            let _ = child.kill();
            panic!("{} does not end: {:?}", self.model.name, child.wait_with_output());
        }
        child.wait_with_output()
    }

    fn command(&self) -> Command {
        let mut command = if self.limits.is_empty() {
            Command::new(C10K)
        } else {
            let mut shell = Command::new("sh");
            shell.args([
                "-c",
                &format!("{} && exec \"$0\" \"$@\"", self.limits.join(" && ")),
                C10K,
            ]);
            shell
        };
        if self.own_group {
            command.process_group(0);
        }
        if let Some(user) = self.user {
            command.uid(user).current_dir("/");
        }
        command
            .args(["serve", self.model.name, "--addr", &self.address.to_string()])
            .args(["--workers", &self.workers.to_string()])
            .args(self.handler_arguments())
            .args(&self.arguments)
            // Handlers that panic are part of the tests, and a backtrace costs memory that would
            // look like a leak.
            .env("RUST_BACKTRACE", "0");
        command
    }

    /// Returns the arguments that set the number of threads for handlers; models that have none
    /// refuse them.
    fn handler_arguments(&self) -> Vec<String> {
        if !self.model.offloads_handlers() {
            return Vec::new();
        }
        vec!["--handler-threads".to_owned(), self.handler_threads.to_string()]
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    pub model: Model,
    workers: usize,
    child: Child,
    pub address: SocketAddr,
    stderr: File,
    lacks_threads: bool,
    ended: Option<ExitStatus>,
}

impl Server {
    /// Starts a server of `model` with nothing special about it.
    pub fn start(model: &Model) -> Self {
        Self::launch(model).start()
    }

    /// Prepares a server of `model`.
    pub fn launch(model: &Model) -> Launch {
        Launch {
            model: *model,
            address: own_address(),
            workers: if model.is_loop() { LOOPS } else { WORKERS },
            handler_threads: WORKERS,
            arguments: Vec::new(),
            limits: Vec::new(),
            user: None,
            own_group: false,
            lacks_threads: false,
        }
    }

    /// Connects a new client to the server.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Checks that a new client is served.
    #[track_caller]
    pub fn assert_serves(&self) {
        assert_eq!(self.connect().get("/").status, 200);
    }

    /// Checks that new clients are served meanwhile, if the model serves several.
    #[track_caller]
    pub fn assert_serves_others(&self) {
        if self.model.serves_several() {
            self.assert_serves();
        }
    }

    /// Returns true if no server listens on the port any more.
    pub fn port_is_closed(&self) -> bool {
        TcpStream::connect(self.address).is_err()
    }

    /// Returns the number of the server's process, even after that has ended.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Returns the server's process.
    #[track_caller]
    pub fn process(&self) -> Process {
        Process::find(self.child.id().cast_signed()).expect("the server runs")
    }

    /// Returns the server's process and all processes below it.
    pub fn processes(&self) -> Vec<Process> {
        let mut all = self.children();
        all.push(self.process());
        all
    }

    /// Returns the processes below the server's own.
    pub fn children(&self) -> Vec<Process> {
        descendants(self.child.id().cast_signed())
    }

    /// Returns the number of processes below the server's own that have ended and were not reaped.
    pub fn zombies(&self) -> usize {
        self.children().iter().filter(|child| child.is_zombie).count()
    }

    /// Waits until all workers of a pool are there, if the model has a pool: the first worker may
    /// serve before the last one is made.
    #[track_caller]
    pub fn await_pool(&self) {
        wait::until("all workers are there", || match self.model.profile.execution {
            Execution::ProcessPool => self.children().len() == self.workers,
            Execution::Pool => self.process().threads() > self.workers,
            _ => true,
        });
    }

    /// Waits until all threads of the server sleep: the threads of its start have begun, and have
    /// what they need.
    #[track_caller]
    pub fn await_rest(&self) {
        wait::until("all threads rest", || self.model.spins() || self.process().rests());
    }

    /// Checks that the server does not spin while it waits, unless the model does so by design.
    #[track_caller]
    pub fn assert_does_not_spin(&self) {
        let share = self.cpu_share_during(WINDOW);
        assert!(self.model.spins() || share < SPINNING, "takes {share:.2} of a processor");
    }

    /// Returns the CPU time that the server takes during `window`, as a share of `window`.
    fn cpu_share_during(&self, window: Duration) -> f64 {
        let taken = || -> Duration { self.processes().iter().map(Process::cpu_time).sum() };
        let begin = Instant::now();
        let before = taken();
        thread::sleep(window);
        (taken().saturating_sub(before)).as_secs_f64() / begin.elapsed().as_secs_f64()
    }

    /// Sends a signal to the server's process, and to none of its children.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the server runs");
    }

    /// Sends a signal to the server's process and all its children, as a terminal does. The server
    /// has to be in a process group of its own.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.child), signal).expect("the server leads a group");
    }

    /// Returns true if the server still runs.
    pub fn is_running(&mut self) -> bool {
        self.ended =
            self.ended.or_else(|| self.child.try_wait().expect("a child can be waited for"));
        self.ended.is_none()
    }

    /// Waits until the server ends after a signal, and checks that it ended cleanly. Returns the
    /// time that it took.
    #[track_caller]
    pub fn await_clean_end(&mut self) -> Duration {
        self.await_clean_end_since(Instant::now())
    }

    #[track_caller]
    fn await_clean_end_since(&mut self, begin: Instant) -> Duration {
        wait::until("the server has ended", || !self.is_running());
        let time = begin.elapsed();
        let said = self.said();
        assert!(
            self.ended.is_some_and(|status| status.success()),
            "{} ended with {:?}; it said: {said}",
            self.model.name,
            self.ended
        );
        let panics = said.matches("panicked at").count();
        let allowed = if self.lacks_threads { &PANICS_WITHOUT_THREADS[..] } else { &[] };
        let wanted: usize =
            allowed.iter().chain([&WANTED_PANIC]).map(|text| said.matches(text).count()).sum();
        assert_eq!(panics, wanted, "{} panicked: {said}", self.model.name);
        time
    }

    /// Sends SIGTERM, and checks that the server ends cleanly and its children end too. Returns the
    /// time that the server took.
    #[track_caller]
    pub fn stop(&mut self) -> Duration {
        let children = self.children();
        let begin = Instant::now();
        self.signal(Signal::TERM);
        let time = self.await_clean_end_since(begin);
        assert_are_gone(&children);
        time
    }

    /// Returns what the server wrote to standard error.
    pub fn said(&mut self) -> String {
        let mut text = String::new();
        let _ = self.stderr.seek(SeekFrom::Start(0));
        let _ = self.stderr.read_to_string(&mut text);
        text
    }

    fn end(&mut self) {
        if !self.is_running() {
            return;
        }
        self.signal(Signal::TERM);
        if !wait::holds_within(PATIENCE, || !self.is_running()) {
            eprintln!("{}: SIGTERM did not end the server; killing it", self.model.name);
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn last_words(&mut self) -> String {
        let said = self.said();
        let ended =
            self.ended.map_or_else(|| "in no known way".into(), |status| status.to_string());
        format!("{} has ended by itself ({ended}); it said: {said}", self.model.name)
    }

    fn await_listening_line(&mut self) -> SocketAddr {
        let mut stdout = self.child.stdout.take().expect("its output is a pipe");
        let patience = Timespec::try_from(PATIENCE).ok();
        let readable = poll(&mut [PollFd::new(&stdout, PollFlags::IN)], patience.as_ref());
        assert_eq!(readable, Ok(1), "the server says nothing");
        let mut line = String::new();
        BufReader::new(&mut stdout).read_line(&mut line).expect("its output can be read");
        line.strip_prefix("listening on ")
            .and_then(|rest| rest.strip_suffix('\n')?.parse().ok())
            .unwrap_or_else(|| {
                panic!("instead of listening it printed {line:?} and said {}", self.said())
            })
    }
}

/// Ends the server, no matter what happens to the test. A server that has to be killed has failed,
/// and so has one that has ended before the test told it to.
impl Drop for Server {
    fn drop(&mut self) {
        match (self.ended.is_some(), self.is_running(), thread::panicking()) {
            (true, ..) => {}
            (false, true, false) => {
                self.stop();
            }
            (false, false, false) => panic!("{}", self.last_words()),
            (false, _, true) => {
                self.end();
                // A server that dies closes its sockets first, which a test sees before it can see
                // the end of the process.
                if self.ended.is_some_and(|status| !status.success()) {
                    let last_words = self.last_words();
                    eprintln!("{last_words}");
                    LAST_WORDS.set(last_words);
                }
            }
        }
    }
}

thread_local! {
    /// Status and messages of a server that has ended while this thread's test failed.
    static LAST_WORDS: Cell<String> = const { Cell::new(String::new()) };
}

/// Returns the status and messages of a server that ended by itself in the test that has just
/// failed on this thread, if there is one; they may say why the test failed.
pub fn last_words() -> String {
    LAST_WORDS.take()
}

/// Checks that the processes are gone, or soon will be.
#[track_caller]
pub fn assert_are_gone(processes: &[Process]) {
    let left =
        || -> Vec<&Process> { processes.iter().filter(|process| process.is_there()).collect() };
    wait::until("the children of the server are gone", || left().is_empty());
}

/// Returns an address of this machine that no other server of these tests has, with any free port.
/// A port of the common address could go to another test's server, or to some client, as soon as it
/// is closed.
fn own_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let run = std::process::id() as u8;
    SocketAddr::from(([127, run.clamp(1, 254), high, low], 0))
}
