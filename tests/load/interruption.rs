//! Ctrl-C: the run ends at once, and reports what was measured until then.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::command::{Load, command, until_shown, words};
use crate::server::{After, OK, Server};
use crate::wait;

/// Longest time from Ctrl-C to the end of the process: far from the minute that the run would take,
/// and long even for a busy machine.
const PROMPTLY: Duration = Duration::from_secs(10);

/// Waits until the measured part of a closed loop has begun and some of it is over: every
/// connection was served, and a while later one of them has had a series of requests, each sent
/// after the response to the one before.
#[track_caller]
fn await_measured(server: &Server, connections: usize) {
    let are_served = || {
        let seen = server.seen();
        seen.len() == connections && seen.iter().all(|seen| seen.requests.len() >= 2)
    };
    wait::until("all connections are served", are_served);
    let while_later = Instant::now() + Duration::from_millis(100);
    wait::until("requests go on", || {
        let seen = server.seen();
        seen.iter().any(|seen| {
            seen.requests.iter().filter(|request| request.at > while_later).count() > 20
        })
    });
}

#[test]
fn an_interrupted_run_reports_what_it_measured() {
    for arguments in ["--connections 4 --duration 60s", "--connections 4 --requests 100000000"] {
        let server = Server::answering(OK, After::Keep);
        let run = Load::start(&server.url(), &words(arguments));
        await_measured(&server, 4);
        run.interrupt();
        let outcome = run.outcome(PROMPTLY);
        outcome.assert_errors(&[]);
        assert!(outcome.completed() > 0);
        let duration = outcome.number("duration_s");
        let rate = outcome.number("throughput_rps");
        assert!(duration > 0.0 && duration < 30.0, "{:#}", outcome.json);
        assert!((rate * duration - outcome.completed() as f64).abs() < 2.0, "{:#}", outcome.json);
        assert!(
            outcome.stderr.contains("interrupted; the result is of the first"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn an_interrupted_open_loop_counts_what_was_due_until_then() {
    let run = || {
        let server = Server::answering(OK, After::Keep);
        let run = Load::start(&server.url(), &words("--connections 4 --rate 500 --duration 60s"));
        wait::until("requests come", || server.requests().len() >= 150);
        run.interrupt();
        let outcome = run.outcome(PROMPTLY);
        let intended = outcome.count("requests/intended");
        // In the whole time there would be 30,000.
        assert!((150..15_000).contains(&intended), "{intended}");
        outcome
    };
    // Nearly all of them are done, unless the machine stalls at that moment.
    until_shown("those are sent", run, |outcome| {
        outcome.completed() + 10 >= outcome.count("requests/intended")
    });
}

/// A terminal that is closed interrupts a run, too. Files keep the results of an earlier run.
#[test]
fn a_run_that_is_interrupted_while_it_warms_up_ends_with_nothing_measured() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let server = Server::answering(OK, After::Keep);
        let folder = tempfile::tempdir().expect("a folder can be made");
        let files = ["o.json", "o.hlog"].map(|name| folder.path().join(name));
        for file in &files {
            fs::write(file, "of before").expect("it can be written");
        }
        let [output, log] = files.each_ref().map(|file| file.to_str().expect("it is text"));
        let arguments = words("--connections 4 --warmup 60s --duration 1s --output");
        let run = Load::start(&server.url(), &[&arguments[..], &[output, "--hdr", log]].concat());
        wait::until("requests come", || server.requests().len() > 20);
        run.signal(signal);
        let outcome = run.outcome(PROMPTLY);
        assert_eq!(outcome.completed(), 0, "{:#}", outcome.json);
        assert_eq!(outcome.status.code(), Some(130));
        assert!(outcome.number("duration_s").abs() < 1e-9, "{:#}", outcome.json);
        assert!(outcome.number("throughput_rps").abs() < 1e-9, "{:#}", outcome.json);
        for file in &files {
            assert_eq!(fs::read_to_string(file).expect("it is there"), "of before", "{signal:?}");
        }
        assert_eq!(
            fs::read_dir(folder.path()).expect("it is there").count(),
            2,
            "a file was left behind"
        );
    }
}

/// `nohup` starts programs with SIGHUP ignored; the shell does the same here.
#[test]
fn a_run_under_nohup_survives_its_terminal() {
    let server = Server::answering(OK, After::Keep);
    let load = command(&server.url(), &words("--connections 2 --duration 1s --json"));
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(load.get_program())
        .args(load.get_args());
    let child = shell.stdout(Stdio::piped()).spawn().expect("the command can be run");
    wait::until("requests come", || server.requests().len() > 20);
    kill_process(Pid::from_child(&child), Signal::HUP).expect("the process is there");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    let json: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert!(json["duration_s"].as_f64() > Some(0.9), "{json:#}");
}

#[test]
fn a_run_is_interrupted_although_the_server_hangs() {
    // The run gives a second to servers that are slow to start, before anything is measured; on a
    // busy machine this may take longer.
    let mut patience = Duration::from_millis(750);
    let run = || {
        patience *= 2;
        let server = Server::start(|_, _| Ok(After::Hold));
        let run =
            Load::start(&server.url(), &words("--connections 4 --duration 60s --timeout 60s"));
        wait::until("requests come", || server.requests().len() == 4);
        std::thread::sleep(patience);
        run.interrupt();
        let outcome = run.outcome(PROMPTLY);
        assert_eq!(outcome.completed(), 0);
        outcome
    };
    until_shown("what is in flight counts", run, |outcome| outcome.in_flight() == 4);
}

#[test]
fn a_run_is_interrupted_while_it_connects() {
    let server = Server::answering(OK, After::Keep);
    let arguments = words("--connections 50 --connect-rate 2 --duration 60s");
    let run = Load::start(&server.url(), &arguments);
    wait::until("the first request comes", || !server.requests().is_empty());
    run.interrupt();
    let outcome = run.outcome(PROMPTLY);
    assert_eq!(outcome.completed(), 0, "{:#}", outcome.json);
}

#[test]
fn a_run_is_interrupted_while_its_idle_connections_find_a_full_backlog() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port is free");
    listener.listen(1).expect("it can listen");
    let address =
        listener.local_addr().expect("it is bound").as_socket().expect("it is one of IPv4");
    let run = Load::start(
        &format!("http://{address}/"),
        &words("--idle 2000 --connections 1 --timeout 60s"),
    );
    // The connection is in the queue, although no server accepts it.
    let waits = || is_readable(&listener);
    wait::until("a connection waits", waits);
    run.interrupt();
    let outcome = run.outcome(PROMPTLY);
    assert_eq!(outcome.status.code(), Some(130));
}

fn is_readable(listener: &Socket) -> bool {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
