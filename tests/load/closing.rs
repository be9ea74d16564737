//! Servers that close connections after a response, with and without announcing it: they may do so,
//! and it is no error.

use std::io::Write;

use crate::command::{load, load_to_the_last};
use crate::server::{After, OK, Server};

const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

#[test]
fn a_server_that_says_it_closes_is_no_error() {
    let server = Server::answering(LAST, After::Close);
    let outcome = load(&server, "--connections 4 --requests 100");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 100);
    assert!(outcome.count("connections/opened_total") >= 100, "{:#}", outcome.json);
    assert_eq!(outcome.count("connections/established"), 4);
}

#[test]
fn a_server_that_says_it_closes_and_does_not_is_not_waited_for() {
    let server = Server::answering(LAST, After::Keep);
    let outcome = load(&server, "--connections 2 --requests 20");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 20);
    assert!(
        server.seen().iter().all(|seen| seen.requests.len() <= 1),
        "a request came after the last response"
    );
}

/// Returns a server that closes after each response without announcing it. The client may have sent
/// its next request by then; only that request is lost.
fn silent_closer() -> Server {
    Server::answering(OK, After::Close)
}

#[test]
fn all_responses_of_a_server_that_closes_without_saying_so_are_counted() {
    let server = silent_closer();
    let outcome = load(&server, "--connections 4 --requests 100");
    let resets = outcome.count("errors/reset");
    outcome.assert_errors(&[("reset", resets)]);
    assert_eq!(outcome.completed() + resets, 100, "{:#}", outcome.json);
    assert!(outcome.completed() > 0);
    assert!(server.answers() >= outcome.completed());
    assert!(
        outcome.count("connections/opened_total") + resets >= outcome.completed(),
        "{:#}",
        outcome.json
    );
    assert_eq!(outcome.count("connections/served"), 4);
}

#[test]
fn a_server_that_closes_without_saying_so_does_not_disturb_an_open_loop() {
    // Every connection is used twice, a second apart: the client sees each close long before its
    // next request.
    let (_server, outcome) =
        load_to_the_last(silent_closer, "--connections 40 --rate 40 --duration 2s");
    assert_eq!(outcome.count("requests/intended"), 80);
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 80);
}

#[test]
fn a_limit_of_requests_per_connection_that_is_announced_is_no_error() {
    let server = Server::start(|request, socket| match request.number {
        0..4 => socket.write_all(OK).map(|()| After::Keep),
        _ => socket.write_all(LAST).map(|()| After::Close),
    });
    let outcome = load(&server, "--connections 3 --requests 150");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 150);
    assert!(outcome.count("connections/opened_total") >= 30, "{:#}", outcome.json);
    assert!(server.seen().iter().all(|seen| seen.requests.len() <= 5));
}

#[test]
fn the_end_that_is_to_close_closes_first_and_keeps_the_connections() {
    for (close, after, other) in
        [("server", After::Close, "client"), ("client", After::Keep, "server")]
    {
        let server = Server::answering(OK, after);
        let arguments = format!("--connections 2 --requests 40 --lifetime short --close {close}");
        let outcome = load(&server, &arguments);
        outcome.assert_errors(&[]);
        assert_eq!(outcome.json["workload"]["close"], close);
        let asks = |head: &str| head.to_ascii_lowercase().contains("connection: close");
        assert!(server.requests().iter().all(|request| asks(&request.head) == (close == "server")));
        // The last connections may end with the run. A kernel without socket diagnostics
        // reports nothing.
        let held = |end: &str| outcome.json["kernel"]["time_wait"][end].as_u64();
        if let (Some(first), Some(second)) = (held(close), held(other)) {
            assert!(first >= 20 && second <= 10, "{close} closes: {:#}", outcome.json);
        }
    }
}

#[test]
fn http_1_0_responses_end_their_connections() {
    let server =
        Server::answering(*b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", After::Close);
    let outcome = load(&server, "--connections 2 --requests 20");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 20);
}

#[test]
fn responses_of_several_threads_that_close_are_all_counted() {
    let server = Server::answering(LAST, After::Close);
    let outcome = load(&server, "--connections 6 --threads 3 --requests 90");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 90);
}
