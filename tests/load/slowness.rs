//! Servers that answer slowly, and servers whose responses never end.

use std::io::{Seek, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::command::{Outcome, load, until_shown};
use crate::server::{After, OK, Server};

/// Writes one byte at a time with a pause after each.
fn dribble(socket: &mut TcpStream, bytes: &[u8], pause: Duration) -> std::io::Result<()> {
    for byte in bytes.chunks(1) {
        socket.write_all(byte)?;
        thread::sleep(pause);
    }
    Ok(())
}

/// Writes without end, as fast as possible: from a file, which the kernel sends without copying it.
/// A client that reads until there is nothing left to read would read for ever.
fn pour(socket: &mut TcpStream) -> std::io::Result<()> {
    let mut file = tempfile::tempfile()?;
    file.set_len(1 << 26)?;
    loop {
        file.rewind()?;
        std::io::copy(&mut file, socket)?;
    }
}

#[test]
fn a_response_that_comes_byte_by_byte_counts() {
    let server = Server::start(|_, socket| {
        dribble(socket, OK, Duration::from_millis(2)).map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 4 --requests 12");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 12);
    // 40 bytes with 2 ms between them.
    assert!(outcome.number("latency_us/min") >= 76_000.0, "{:#}", outcome.json);
    assert!(
        outcome.number("first_byte_us/p50") < outcome.number("service_us/p50"),
        "{:#}",
        outcome.json
    );
}

#[test]
fn a_response_in_pieces_that_waits_for_acknowledgements_is_reported() {
    let server = |nodelay| {
        Server::start(move |_, socket| {
            socket.set_nodelay(nodelay)?;
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")?;
            socket.write_all(b"ok").map(|()| After::Keep)
        })
    };
    // Enough requests for the tenths that the check compares; the first responses of a connection
    // are acknowledged at once.
    let run = || load(&server(false), "--connections 16 --requests 480");
    let hints = |outcome: &Outcome| outcome.check("delayed-acknowledgement").0 == "warn";
    let outcome = until_shown("acknowledgements are delayed", run, hints);
    let (_, detail) = outcome.check("delayed-acknowledgement");
    assert!(detail.contains("TCP_NODELAY"), "{detail}");
    let outcome = load(&server(true), "--connections 16 --requests 480");
    assert_eq!(outcome.check("delayed-acknowledgement").0, "pass");
}

#[test]
fn a_response_that_is_too_slow_times_out_even_if_most_of_it_came() {
    let server = Server::start(|_, socket| {
        dribble(socket, OK, Duration::from_millis(100)).map(|()| After::Keep)
    });
    // Each response takes four seconds.
    let outcome = load(&server, "--connections 3 --requests 6 --timeout 300ms");
    outcome.assert_errors(&[("timeout", 6)]);
}

#[test]
fn a_head_that_never_ends_times_out() {
    let server = Server::start(|_, socket| {
        socket.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            dribble(socket, b"X: y\r\n", Duration::from_millis(5))?;
        }
    });
    let outcome = load(&server, "--connections 2 --requests 2 --timeout 300ms");
    outcome.assert_errors(&[("timeout", 2)]);
}

#[test]
fn a_body_that_never_ends_times_out() {
    for head in ["Transfer-Encoding: chunked\r\n\r\n", "Connection: close\r\n\r\n"] {
        let server = Server::start(move |_, socket| {
            socket.write_all(b"HTTP/1.1 200 OK\r\n")?;
            socket.write_all(head.as_bytes())?;
            loop {
                dribble(socket, b"1\r\nx\r\n", Duration::from_millis(5))?;
            }
        });
        let outcome = load(&server, "--connections 2 --requests 2 --timeout 300ms");
        outcome.assert_errors(&[("timeout", 2)]);
    }
}

#[test]
fn a_body_that_never_ends_times_out_even_if_it_comes_fast() {
    let server = Server::start(|_, socket| {
        socket.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
        pour(socket).map(|()| After::Close)
    });
    let outcome = load(&server, "--connections 2 --requests 2 --timeout 300ms");
    outcome.assert_errors(&[("timeout", 2)]);
}

#[test]
fn one_endless_body_does_not_keep_the_others_waiting() {
    let server = Server::start(|request, socket| {
        if request.connection == 0 {
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")?;
            pour(socket)?;
        }
        socket.write_all(OK).map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 4 --duration 500ms");
    assert!(outcome.completed() > 0);
    assert_eq!(outcome.count("connections/starved"), 1);
}

#[test]
fn endless_interim_responses_time_out() {
    let server = Server::start(|_, socket| {
        loop {
            socket.write_all(b"HTTP/1.1 102 Processing\r\n\r\n")?;
            thread::sleep(Duration::from_millis(5));
        }
    });
    let outcome = load(&server, "--connections 2 --requests 2 --timeout 300ms");
    outcome.assert_errors(&[("timeout", 2)]);
}

#[test]
fn a_timed_run_ends_on_time_with_slow_responses_in_flight() {
    let server = Server::start(|_, socket| {
        dribble(socket, OK, Duration::from_secs(1)).map(|()| After::Keep)
    });
    // A response takes longer than the run waits for anything.
    let outcome = load(&server, "--connections 5 --duration 300ms");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 0);
    assert_eq!(outcome.in_flight(), 5);
}

/// A response that comes too late is a timeout, even if it comes before the generator checks for
/// late ones.
#[test]
fn a_response_that_took_longer_than_the_timeout_does_not_count() {
    let outcome =
        load(&Server::answering(OK, After::Keep), "--connections 2 --requests 20 --timeout 1us");
    outcome.assert_errors(&[("timeout", 20)]);
    assert_eq!(outcome.completed(), 0, "{:#}", outcome.json);
}
