//! Runs `c10k load` and checks everything that must hold no matter what the server does.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::quota::Quota;
use crate::refusal;
use crate::server::Server;
use crate::wait;

/// Longest time that a run here may take, even on a busy machine; most take half a second. A run
/// that never ends, or that waits for a still slower server, takes longer.
const LONGEST_RUN: Duration = wait::PATIENCE;

/// Runs `c10k load URL --json` with these arguments to its end.
#[track_caller]
pub fn load(server: &Server, arguments: &str) -> Outcome {
    Load::start(&server.url(), &words(arguments)).outcome(LONGEST_RUN)
}

/// Runs the command as [`load`] does, with a URL in place of a server.
#[track_caller]
pub fn load_url(url: &str, arguments: &[&str]) -> Outcome {
    Load::start(url, arguments).outcome(LONGEST_RUN)
}

/// Runs the command as [`load_url`] does, within a CPU quota.
#[track_caller]
pub fn load_within(quota: &Quota, url: &str, arguments: &[&str]) -> Outcome {
    Load::spawn(&mut quota.run(&command(url, arguments))).outcome(LONGEST_RUN)
}

/// Repeats a run until it has the result that is expected on a machine with time for it, and
/// returns that outcome. `run` itself asserts everything that must also hold on a busy machine.
#[track_caller]
pub fn until_shown(
    what: &str,
    mut run: impl FnMut() -> Outcome,
    shows: impl Fn(&Outcome) -> bool,
) -> Outcome {
    let deadline = Instant::now() + wait::PATIENCE;
    loop {
        let outcome = run();
        if shows(&outcome) {
            return outcome;
        }
        assert!(
            Instant::now() < deadline,
            "after {:?} still not: {what}; {:#}",
            wait::PATIENCE,
            outcome.json
        );
    }
}

/// Runs an open loop, all of whose requests must complete. Repeats it if the machine stalled for
/// longer than such a run waits for its last responses. Returns the server, too.
#[track_caller]
pub fn load_to_the_last(start: impl Fn() -> Server, arguments: &str) -> (Server, Outcome) {
    let mut server = None;
    let run = || load(server.insert(start()), arguments);
    let is_done = |outcome: &Outcome| {
        outcome.completed() + outcome.count("requests/failed") == outcome.count("requests/intended")
    };
    let outcome = until_shown("every request is done", run, is_done);
    (server.expect("it was started"), outcome)
}

pub fn words(arguments: &str) -> Vec<&str> {
    arguments.split_whitespace().collect()
}

/// A process that is killed when this value is dropped, even if a test fails.
pub struct KilledOnDrop(pub Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // After its own end there is nothing left to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run in progress, with the threads that read its output.
pub struct Load {
    child: KilledOnDrop,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

/// Returns the command, ready to be run; without a warm-up unless one is asked for.
pub fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
    command.args(["load", url]).args(arguments);
    if !arguments.contains(&"--warmup") {
        command.args(["--warmup", "0s"]);
    }
    command.stdin(Stdio::null());
    command
}

impl Load {
    #[track_caller]
    pub fn start(url: &str, arguments: &[&str]) -> Self {
        Self::spawn(&mut command(url, arguments))
    }

    #[track_caller]
    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command can be run");
        let stdout = read(child.stdout.take().expect("it is piped"));
        let stderr = read(child.stderr.take().expect("it is piped"));
        Self { child: KilledOnDrop(child), stdout, stderr }
    }

    /// Interrupts the run, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).expect("the process is there");
    }

    /// Waits for the end of the run and reads its output. Fails if the end does not come within
    /// `limit`.
    #[track_caller]
    pub fn outcome(mut self, limit: Duration) -> Outcome {
        let status = end_of(&mut self.child.0, limit);
        let (stdout, stderr) = (self.stdout.join(), self.stderr.join());
        let (stdout, stderr) = (stdout.expect("it speaks text"), stderr.expect("it speaks text"));
        assert!(!stderr.contains("panicked"), "{stderr}");
        let json: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| {
            panic!(
                "{error} in place of one JSON object and nothing else: {stdout:?} beside {stderr:?}"
            )
        });
        let outcome = Outcome { json, status, stderr };
        outcome.check_end();
        outcome.check_books();
        outcome
    }
}

/// Runs the command against a URL where no server can be reached, and checks that it ends with one
/// line that says what to do, status 2, and nothing on standard output. Returns the line.
#[track_caller]
pub fn unreachable(url: &str, arguments: &str) -> String {
    let mut child = command(url, &words(arguments))
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be run");
    end_of(&mut child, LONGEST_RUN);
    let line = refusal::line_of(child.wait_with_output().expect("it can be read"));
    assert!(line.contains(url) && line.contains("start the server"), "{line}");
    line
}

/// Waits for the end of a process. Kills it and fails if it does not end within `limit`.
#[track_caller]
pub fn end_of(child: &mut Child, limit: Duration) -> ExitStatus {
    let mut status = None;
    wait::holds_within(limit, || {
        status = child.try_wait().expect("it is our child");
        status.is_some()
    });
    status.unwrap_or_else(|| {
        let _ = child.kill();
        let _ = child.wait();
        panic!("the run did not end within {limit:?}")
    })
}

fn read(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("it speaks text");
        text
    })
}

/// Output and status of a run.
#[derive(Debug)]
pub struct Outcome {
    pub json: Value,
    pub status: ExitStatus,
    pub stderr: String,
}

impl Outcome {
    /// Returns a count, such as `requests/sent`.
    #[track_caller]
    pub fn count(&self, path: &str) -> u64 {
        let value = self.json.pointer(&format!("/{path}")).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("{path} is no count in {:#}", self.json))
    }

    /// Returns a number, such as `latency_us/max`.
    #[track_caller]
    pub fn number(&self, path: &str) -> f64 {
        let value = self.json.pointer(&format!("/{path}")).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("{path} is no number in {:#}", self.json))
    }

    pub fn completed(&self) -> u64 {
        self.count("requests/completed")
    }

    pub fn in_flight(&self) -> u64 {
        self.count("requests/in_flight_at_end")
    }

    /// Checks that these errors were counted and no others.
    #[track_caller]
    pub fn assert_errors(&self, expected: &[(&str, u64)]) {
        for kind in ["connect", "reset", "timeout", "status", "protocol"] {
            let wanted =
                expected.iter().find(|(name, _)| *name == kind).map_or(0, |(_, count)| *count);
            assert_eq!(
                self.count(&format!("errors/{kind}")),
                wanted,
                "{kind} errors of {:#}",
                self.json
            );
        }
    }

    /// Checks that only errors of this kind were counted, and returns their number.
    #[track_caller]
    pub fn only_errors(&self, kind: &str) -> u64 {
        let count = self.count(&format!("errors/{kind}"));
        self.assert_errors(&[(kind, count)]);
        assert!(count > 0, "no {kind} errors in {:#}", self.json);
        count
    }

    /// Checks the end of a run. If requests completed, the run succeeded and prints nothing beside
    /// the result, unless it was interrupted. If none completed, one line says so, and no time is
    /// printed as if it were measured.
    #[track_caller]
    fn check_end(&self) {
        let Self { status, stderr, .. } = self;
        if self.completed() > 0 {
            assert_eq!(status.code(), Some(0), "{stderr}");
            let is_cut_short = stderr.starts_with("c10k: interrupted; the result is of the first ");
            assert!(stderr.is_empty() || (is_cut_short && stderr.lines().count() == 1), "{stderr}");
            return;
        }
        let interrupted = stderr.starts_with("c10k: interrupted");
        assert_eq!(status.code(), Some(if interrupted { 130 } else { 1 }), "{stderr}");
        assert!(stderr.starts_with("c10k: ") && stderr.lines().count() == 1, "{stderr:?}");
        for times in ["latency", "service", "connect", "first_byte"] {
            assert_eq!(self.count(&format!("{times}_us/count")), 0, "{:#}", self.json);
        }
    }

    /// Returns the verdict of a check, with its detail.
    #[track_caller]
    pub fn check(&self, name: &str) -> (&str, &str) {
        let checks = self.json["checks"].as_array().expect("it has checks");
        let check = checks.iter().find(|check| check["name"] == name);
        let text = |key: &str| check.and_then(|check| check[key].as_str());
        text("verdict")
            .zip(text("detail"))
            .unwrap_or_else(|| panic!("no {name} in {:#}", self.json))
    }

    /// Checks that every request has exactly one outcome, and that every connection that was
    /// established was served, was starved, or had nothing to send.
    #[track_caller]
    fn check_books(&self) {
        let errors = |kinds: &[&str]| {
            kinds.iter().map(|kind| self.count(&format!("errors/{kind}"))).sum::<u64>()
        };
        let (sent, failed) = (self.count("requests/sent"), self.count("requests/failed"));
        let told = format!("{:#}", self.json);
        assert_eq!(self.count("version"), 1, "{told}");
        assert_eq!(sent, self.completed() + failed + self.in_flight(), "{told}");
        assert_eq!(failed, errors(&["reset", "timeout", "status", "protocol"]), "{told}");
        assert!(self.count("requests/intended") >= sent, "{told}");
        assert_eq!(self.count("service_us/count"), self.completed(), "{told}");
        assert!(self.count("latency_us/count") >= self.completed(), "{told}");
        let (established, served) =
            (self.count("connections/established"), self.count("connections/served"));
        let without = self.count("connections/starved") + self.count("connections/never_asked");
        assert!((served..=served + without).contains(&established), "{told}");
        assert!(established <= self.count("connections/requested"), "{told}");
    }
}
