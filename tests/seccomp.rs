//! Kernels without the newer system calls, and containers that refuse them: every model serves or
//! reports why it can't, and the generator measures or reports why it can't.
//!
//! A seccomp filter belongs to a thread and to everything that the thread starts. It fails with the
//! errors of the default profiles of container runtimes: EPERM, or ENOSYS as an older kernel does.

#[path = "support/refusal.rs"]
mod refusal;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use libc::{
    SYS_clone3, SYS_epoll_pwait2, SYS_io_uring_enter, SYS_io_uring_register, SYS_io_uring_setup,
    SYS_pidfd_open,
};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getgid, kill_process};
use seccompiler::{SeccompAction, SeccompFilter, apply_filter};
use serde_json::{Value, json};

/// System calls that are refused.
const CALLS: [(&str, i64); 4] = [
    ("io_uring_setup", SYS_io_uring_setup),
    ("epoll_pwait2", SYS_epoll_pwait2),
    ("clone3", SYS_clone3),
    ("pidfd_open", SYS_pidfd_open),
];

/// Runs `test` on a thread where these calls fail with `errno`. Prints a note where there is no
/// seccomp.
fn under_filter(errno: Errno, calls: &[(&str, i64)], test: impl FnOnce() + Send) {
    let rules: BTreeMap<_, _> = calls.iter().map(|&(_, call)| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(errno.raw_os_error().cast_unsigned());
    let arch = std::env::consts::ARCH.try_into().expect("seccompiler knows this processor");
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).expect("the rules are right");
    let filter: seccompiler::BpfProgram = filter.try_into().expect("the filter is small");
    thread::scope(|scope| {
        scope.spawn(|| match apply_filter(&filter) {
            Ok(()) => test(),
            Err(error) => eprintln!("left out, no seccomp here: {error}"),
        });
    });
}

/// Returns the command, which is started by `fork`: `posix_spawn`, which std prefers, fails if
/// clone3 fails with EPERM. std uses `fork` because the command sets a process group.
fn c10k(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
    command.args(arguments).gid(getgid().as_raw()).stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    c10k(arguments).output().expect("the command can be run")
}

fn roster() -> Vec<Value> {
    let output = output(&["models", "--json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

fn name(model: &Value) -> String {
    model["name"].as_str().expect("a model has a name").to_owned()
}

fn is_available(model: &Value) -> bool {
    model["available"] == true
}

/// A running server of one model.
struct Server {
    name: String,
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server of a model of the roster, with few threads.
    fn start(model: &Value) -> Self {
        let name = name(model);
        let mut arguments = vec!["serve", name.as_str(), "--addr", "127.0.0.1:0", "--workers", "2"];
        if model["handlers"] == "offloaded" {
            arguments.extend(["--handler-threads", "2"]);
        }
        let mut command = c10k(&arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is started");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { name, child, stdout }
    }

    /// Waits until the server listens, and returns its address.
    fn address(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it can be read");
        let address = line.trim_end().strip_prefix("listening on ");
        address.unwrap_or_else(|| panic!("{} said {line:?}", self.name)).to_owned()
    }

    fn tell_to_stop(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
    }

    fn end(mut self) {
        let status = self.child.wait().expect("it ends");
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .expect("it is piped")
            .read_to_string(&mut said)
            .expect("it is text");
        assert!(status.success() && said.is_empty(), "{}: {status}, {said}", self.name);
    }
}

fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a time that can be set");
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// Checks that every model that is available serves a request and stops cleanly, and that every
/// other model is refused with its reason.
fn assert_roster_keeps_its_word(roster: &[Value]) {
    let (here, missing): (Vec<_>, Vec<_>) = roster.iter().partition(|model| is_available(model));
    // All servers at the same time: each takes a moment to start and to stop.
    let mut servers: Vec<_> = here.into_iter().map(Server::start).collect();
    for server in &mut servers {
        let address = server.address();
        let answer = get(&address);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{}: {answer}", server.name);
    }
    servers.iter().for_each(Server::tell_to_stop);
    servers.into_iter().for_each(Server::end);
    for model in missing {
        let line = refusal::line_of(output(&["serve", &name(model), "--addr", "127.0.0.1:0"]));
        let reason = model["reason"].as_str().expect("what is missing has a reason");
        assert!(line.contains(reason), "{line} and not {reason}");
    }
}

fn availability(roster: &[Value]) -> Vec<(&str, bool)> {
    roster
        .iter()
        .map(|model| (model["name"].as_str().unwrap_or_default(), is_available(model)))
        .collect()
}

/// Checks that closed and open loops over short and persistent connections get responses and no
/// errors.
fn assert_generator_measures() {
    let mut server = Server::start(&json!({ "name": "poll" }));
    let url = format!("http://{}/", server.address());
    for options in [
        "--lifetime short",
        "--lifetime persistent",
        "--rate 700",
        "--rate 700 --lifetime short --spin 0s",
    ] {
        let fixed = [
            "load",
            &url,
            "--json",
            "--connections",
            "4",
            "--duration",
            "200ms",
            "--warmup",
            "50ms",
        ];
        let arguments = [fixed.to_vec(), options.split(' ').collect()].concat();
        let output = output(&arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{options}: {output:?}");
        let measured: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
        assert_ne!(measured["requests"]["completed"], 0, "{options}: {measured}");
        assert_eq!(measured["requests"]["failed"], 0, "{options}: {measured}");
    }
    server.tell_to_stop();
    server.end();
}

const SUITE: &str = r#"
name = "filtered"
purpose = "one cell"
rounds = 1
warmup = "50ms"
duration = "500ms"
timeout = "5s"
models = ["epoll-level"]

[[workload]]
connections = 2
"#;

/// Runs a bench of one cell and a short calibration, with their results in `folder`.
fn bench_and_calibrate(folder: &str) -> [Output; 2] {
    let suite = format!("{folder}/filtered.toml");
    fs::write(&suite, SUITE).expect("the folder can be written");
    let result = format!("{folder}/calibration.json");
    [
        output(&["bench", &suite, "--output", folder]),
        output(&["calibrate", "--duration", "100ms", "--output", &result]),
    ]
}

#[test]
fn serves_and_measures_where_newer_calls_are_not_known() {
    let without = roster();
    under_filter(Errno::NOSYS, &CALLS, || {
        let roster = roster();
        let needs_io_uring = |model: &&Value| model["waits"] == "io_uring";
        assert!(
            roster.iter().filter(needs_io_uring).all(|model| !is_available(model)),
            "no filter: {roster:?}"
        );
        for (model, same) in roster.iter().zip(&without) {
            assert!(is_available(model) == is_available(same) || needs_io_uring(&model), "{model}");
        }
        assert_roster_keeps_its_word(&roster);
        assert_generator_measures();
        let folder = tempfile::tempdir().expect("a folder can be made");
        for output in bench_and_calibrate(&folder.path().display().to_string()) {
            assert!(output.status.success(), "{output:?}");
        }
    });
}

#[test]
fn serves_without_threads_where_they_are_forbidden_and_measures_nothing() {
    under_filter(Errno::PERM, &CALLS, || {
        let roster = roster();
        assert_roster_keeps_its_word(&roster);
        // This C library tries no other call if clone3 fails with EPERM; others may.
        let Some(threaded) =
            roster.iter().find(|model| model["name"] == "thread" && !is_available(model))
        else {
            return assert_generator_measures();
        };
        assert!(
            threaded["reason"].as_str().is_some_and(|reason| reason.contains("clone3")),
            "{threaded}"
        );
        let available = availability(&roster);
        assert!(
            ["fork", "poll", "epoll", "epoll-level"]
                .iter()
                .all(|name| available.contains(&(name, true)))
        );
        let folder = tempfile::tempdir().expect("a folder can be made");
        let [bench, calibrate] = bench_and_calibrate(&folder.path().display().to_string());
        for output in [bench, calibrate, output(&["load", "http://127.0.0.1:9/"])] {
            assert!(refusal::line_of(output).contains("clone3"));
        }
    });
}

/// A policy may allow a ring and refuse its use.
#[test]
fn a_ring_that_may_not_be_used_is_none() {
    for call in
        [("io_uring_enter", SYS_io_uring_enter), ("io_uring_register", SYS_io_uring_register)]
    {
        under_filter(Errno::PERM, &[call], || {
            let roster = roster();
            assert!(
                roster.iter().all(|model| model["waits"] != "io_uring" || !is_available(model)),
                "{}",
                call.0
            );
            assert_roster_keeps_its_word(&roster);
        });
    }
}

#[test]
fn each_refused_call_costs_the_models_that_need_it_and_no_others() {
    let without = roster();
    for (errno, call) in
        [Errno::PERM, Errno::NOSYS].into_iter().flat_map(|errno| CALLS.map(|call| (errno, call)))
    {
        under_filter(errno, &[call], || {
            let roster = roster();
            let lost = roster
                .iter()
                .zip(&without)
                .filter(|(now, before)| is_available(now) != is_available(before));
            let needs: fn(&Value) -> bool = match (call.0, errno) {
                ("io_uring_setup", _) => |model| model["waits"] == "io_uring",
                ("clone3", Errno::PERM) => {
                    |model| model["reason"].as_str().is_some_and(|it| it.contains("clone3"))
                }
                _ => |_| false,
            };
            for (model, _) in lost {
                assert!(needs(model), "{} {errno:?}: {model}", call.0);
            }
            if call.0 == "epoll_pwait2" {
                assert_generator_measures();
            }
        });
    }
}
