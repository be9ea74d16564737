//! `--requests N`: exactly that number of requests.

use std::cell::Cell;
use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::command::{load, load_to_the_last, until_shown};
use crate::server::{After, OK, Server};

#[track_caller]
fn exactly(requests: u64, arguments: &str) {
    let server = Server::answering(OK, After::Keep);
    let outcome = load(&server, &format!("--requests {requests} {arguments}"));
    outcome.assert_errors(&[]);
    assert_eq!(outcome.count("requests/intended"), requests);
    assert_eq!(outcome.count("requests/sent"), requests);
    assert_eq!(outcome.completed(), requests);
    assert_eq!(outcome.count("latency_us/count"), requests);
    assert_eq!(server.requests().len() as u64, requests, "as the server counts them");
}

#[test]
fn a_number_of_requests_is_sent_exactly() {
    exactly(1, "--connections 1");
    exactly(1000, "--connections 16");
}

#[test]
fn a_number_of_requests_is_sent_exactly_by_several_threads() {
    exactly(997, "--connections 12 --threads 3");
}

#[test]
fn a_number_of_requests_is_sent_exactly_over_short_connections() {
    exactly(100, "--connections 4 --lifetime short");
}

#[test]
fn a_number_of_requests_below_the_number_of_connections_is_sent_exactly() {
    exactly(3, "--connections 10");
}

#[test]
fn a_number_of_requests_is_sent_exactly_at_a_rate() {
    exactly(50, "--connections 4 --rate 500");
    exactly(50, "--connections 4 --rate 500 --arrivals poisson");
    exactly(50, "--connections 4 --rate 500 --threads 2");
}

#[test]
fn a_warm_up_is_sent_and_does_not_count() {
    let server = Server::start(|_, socket| {
        thread::sleep(Duration::from_millis(1));
        socket.write_all(OK).map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 4 --requests 50 --warmup 200ms");
    assert_eq!(outcome.completed(), 50);
    assert!(server.requests().len() > 60, "{}", server.requests().len());
}

#[test]
fn the_rate_of_a_warm_up_is_that_of_the_run() {
    let start = || Server::answering(OK, After::Keep);
    let arguments = "--connections 4 --rate 200 --duration 300ms --warmup 300ms";
    let (server, outcome) = load_to_the_last(start, arguments);
    assert_eq!(outcome.count("requests/intended"), 60);
    assert_eq!(outcome.completed(), 60);
    assert_eq!(server.requests().len(), 120);
}

#[test]
fn what_completed_within_a_time_is_what_the_server_answered() {
    let seen = Cell::new(0);
    let run = || {
        let server = Server::answering(OK, After::Keep);
        let outcome = load(&server, "--connections 4 --duration 300ms");
        outcome.assert_errors(&[]);
        seen.set(server.requests().len() as u64);
        assert!(outcome.completed() <= seen.get(), "{} of {}", outcome.completed(), seen.get());
        outcome
    };
    // While connections are made, before the measured part begins, some requests are answered: few,
    // unless one connection is late.
    let outcome =
        until_shown("most are counted", run, |outcome| outcome.completed() * 2 > seen.get());
    let completed = outcome.completed();
    let rate = outcome.number("throughput_rps") * outcome.number("duration_s");
    assert!((rate - completed as f64).abs() < 1.0, "{:#}", outcome.json);
    assert!((0.29..1.0).contains(&outcome.number("duration_s")), "{:#}", outcome.json);
}
