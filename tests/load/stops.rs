//! Servers that stop answering during a run: their earlier responses are no valid measurement.

use std::io::Write;
use std::net::TcpStream;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{Outcome, command, load, load_url, until_shown};
use crate::server::{After, OK, Server};

/// Returns a server that stops answering at the time `from` after its first request, and answers
/// again after `length`.
fn stopping(from: Duration, length: Duration) -> Server {
    let first = OnceLock::new();
    Server::start(move |_, socket| {
        let begun: &Instant = first.get_or_init(Instant::now);
        let stopped = begun.elapsed().checked_sub(from).filter(|stopped| *stopped < length);
        thread::sleep(stopped.map_or(Duration::ZERO, |stopped| length.saturating_sub(stopped)));
        answer(socket)
    })
}

fn answer(socket: &mut TcpStream) -> std::io::Result<After> {
    socket.write_all(OK).map(|()| After::Keep)
}

/// Length of a stop that outlasts every run here.
const FOR_GOOD: Duration = Duration::from_secs(15);

#[track_caller]
fn assert_silent(outcome: &Outcome) {
    outcome.assert_errors(&[]);
    let (verdict, detail) = outcome.check("silence");
    assert_eq!(verdict, "fail", "{:#}", outcome.json);
    assert!(detail.starts_with("no response came for "), "{detail}");
    assert_eq!(outcome.json["valid"], false);
}

#[test]
fn a_server_that_stops_for_the_last_third_of_a_run_is_no_result() {
    let server = stopping(Duration::from_millis(1_300), FOR_GOOD);
    assert_silent(&load(&server, "--connections 8 --duration 2s"));
}

#[test]
fn a_server_that_is_dead_for_half_of_a_short_run_is_no_result() {
    let server = stopping(Duration::from_millis(400), FOR_GOOD);
    assert_silent(&load(&server, "--connections 8 --duration 800ms --threads 2"));
}

#[test]
fn a_server_that_stands_still_in_the_middle_of_a_run_is_no_result() {
    let server = stopping(Duration::from_millis(500), Duration::from_millis(700));
    assert_silent(&load(&server, "--connections 8 --duration 2s"));
}

#[test]
fn a_server_that_stands_still_under_a_schedule_is_no_result() {
    let server = stopping(Duration::from_millis(500), Duration::from_millis(700));
    let outcome = load(&server, "--connections 8 --rate 200 --duration 2s");
    assert_eq!(outcome.check("silence").0, "fail", "{:#}", outcome.json);
    assert_eq!(outcome.json["valid"], false);
}

#[test]
fn a_stop_that_many_responses_wait_through_is_no_result() {
    // 200 of about 800 responses wait for up to 700 ms.
    let server = stopping(Duration::from_millis(500), Duration::from_millis(700));
    let outcome = load(&server, "--connections 200 --rate 400 --duration 2s");
    assert_silent(&outcome);
}

#[test]
fn requests_that_time_out_in_a_stop_do_not_make_it_shorter() {
    let server = stopping(Duration::from_millis(400), FOR_GOOD);
    // Each request waits for less than a tenth of the run.
    let outcome = load(&server, "--connections 16 --rate 50 --duration 2s --timeout 100ms");
    let (verdict, detail) = outcome.check("silence");
    assert_eq!(verdict, "fail", "{:#}", outcome.json);
    assert!(detail.starts_with("no response came for 1."), "{detail}");
}

#[test]
fn a_server_that_stops_serving_most_connections_is_no_result() {
    let first = OnceLock::new();
    let server = Server::start(move |request, socket| {
        let begun: &Instant = first.get_or_init(Instant::now);
        let is_dropped = request.connection % 4 != 0 && begun.elapsed() > Duration::from_secs(1);
        if is_dropped { Ok(After::Hold) } else { answer(socket) }
    });
    let outcome = load(&server, "--connections 8 --duration 2s");
    let (verdict, detail) = outcome.check("silence");
    assert_eq!(verdict, "fail", "{:#}", outcome.json);
    assert!(detail.starts_with("6 of 8 connections"), "{detail}");
}

#[test]
fn a_slow_and_steady_server_is_not_silent() {
    let server = Server::start(|_, socket| {
        thread::sleep(Duration::from_millis(300));
        answer(socket)
    });
    let run = || load(&server, "--connections 1 --duration 2s");
    until_shown("a pass", run, |outcome| outcome.check("silence").0 == "pass");
}

#[test]
fn a_schedule_with_pauses_makes_no_server_silent() {
    let server = Server::answering(OK, After::Keep);
    let arguments = ["--connections", "2", "--rate", "3", "--duration", "2s"];
    let run = || load_url(&server.url(), &arguments);
    until_shown("a pass", run, |outcome| outcome.check("silence").0 == "pass");
}

#[test]
fn a_stop_is_a_failure_where_failed_checks_are() {
    let server = stopping(Duration::from_millis(400), FOR_GOOD);
    let arguments = ["--connections", "4", "--duration", "1s", "--strict"];
    let status =
        command(&server.url(), &arguments).output().expect("the command can be run").status;
    assert_eq!(status.code(), Some(1));
}
