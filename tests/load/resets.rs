//! Servers that reset or close connections unexpectedly.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::command::{load, load_to_the_last};
use crate::server::{After, OK, Server};

fn resetting_every_tenth() -> Server {
    Server::start(|request, socket| match request.total % 10 {
        9 => Ok(After::Reset),
        _ => socket.write_all(OK).map(|()| After::Keep),
    })
}

#[test]
fn every_tenth_request_is_reset_and_the_others_complete() {
    let server = resetting_every_tenth();
    let outcome = load(&server, "--connections 4 --duration 400ms");
    let resets = outcome.only_errors("reset");
    // The server counts more: some requests are reset while connections are made, before the
    // measured part begins.
    let completed = outcome.completed();
    let seen = server.resets();
    assert!(resets <= seen, "{resets} of {seen}");
    // No reset within the measured part is missing: of each ten requests, nine complete. Requests
    // in flight at its edges may count on either side.
    assert!(
        completed <= 9 * resets + 60 && completed + 60 >= 9 * resets,
        "{completed} beside {resets}"
    );
    assert_eq!(outcome.count("connections/served"), 4);
}

#[test]
fn a_number_of_requests_is_complete_with_its_resets() {
    let server = resetting_every_tenth();
    let outcome = load(&server, "--connections 1 --requests 200");
    let resets = outcome.only_errors("reset");
    assert_eq!(outcome.completed() + resets, 200);
    assert!((19..=21).contains(&resets), "{resets}");
}

#[test]
fn an_open_loop_counts_resets_too() {
    let arguments = "--connections 8 --rate 400 --duration 500ms";
    let (_server, outcome) = load_to_the_last(resetting_every_tenth, arguments);
    assert_eq!(outcome.count("requests/intended"), 200);
    assert_eq!(outcome.only_errors("reset"), 20);
    assert_eq!(outcome.completed(), 180);
}

#[test]
fn connections_that_are_reset_at_once_are_no_responses() {
    let server = Server::greeting(|_, _| After::Reset);
    let outcome = load(&server, "--connections 4 --duration 300ms");
    assert_eq!(outcome.completed(), 0);
    assert!(
        outcome.count("errors/reset") + outcome.count("errors/connect") > 0,
        "{:#}",
        outcome.json
    );
    assert_eq!(outcome.count("errors/protocol"), 0);
}

#[test]
fn connections_that_are_closed_at_once_are_no_responses() {
    let server = Server::greeting(|_, _| After::Close);
    let outcome = load(&server, "--connections 4 --duration 300ms");
    assert_eq!(outcome.completed(), 0);
    assert!(
        outcome.count("errors/reset") + outcome.count("errors/connect") > 0,
        "{:#}",
        outcome.json
    );
}

#[test]
fn a_number_of_requests_ends_although_every_connection_is_reset_at_once() {
    let server = Server::greeting(|_, _| After::Reset);
    let outcome = load(&server, "--connections 2 --requests 20");
    assert_eq!(outcome.completed(), 0);
    assert_eq!(outcome.count("errors/protocol"), 0);
}

#[test]
fn a_reset_within_a_response_is_a_reset() {
    let answers = AtomicUsize::new(0);
    let server = Server::start(move |_, socket| {
        if answers.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")?;
            return Ok(After::Reset);
        }
        socket.write_all(OK).map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 1 --requests 20");
    outcome.assert_errors(&[("reset", outcome.count("errors/reset"))]);
    assert_eq!(outcome.completed() + outcome.count("errors/reset"), 20);
    assert!((9..=11).contains(&outcome.completed()), "{:#}", outcome.json);
}
