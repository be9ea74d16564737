//! Servers whose responses are not as long or as well-formed as they claim, or not HTTP at all.

use std::io::Write;

use crate::command::load;
use crate::server::{After, Server};

/// Checks that ten requests fail in the way of `kind` if every response consists of these bytes;
/// `after` says what follows on the connection.
#[track_caller]
fn all_fail(kind: &str, bytes: &[u8], after: After) {
    let server = Server::answering(bytes, after);
    let outcome = load(&server, "--connections 2 --requests 10");
    let text = String::from_utf8_lossy(bytes).into_owned();
    outcome.assert_errors(&[(kind, 10)]);
    assert_eq!(outcome.completed(), 0, "{text}");
}

#[test]
fn a_response_shorter_than_it_says_is_a_connection_that_broke_off() {
    all_fail("reset", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", After::Close);
}

#[test]
fn a_head_that_breaks_off_is_a_connection_that_broke_off() {
    all_fail("reset", b"HTTP/1.1 200 OK\r\nContent-Le", After::Close);
}

#[test]
fn chunks_that_break_off_are_a_connection_that_broke_off() {
    all_fail(
        "reset",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        After::Close,
    );
}

#[test]
fn a_response_shorter_than_it_says_on_a_connection_that_stays_times_out() {
    let server =
        Server::answering(*b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", After::Keep);
    let outcome = load(&server, "--connections 2 --requests 4 --timeout 200ms");
    outcome.assert_errors(&[("timeout", 4)]);
}

#[test]
fn a_response_longer_than_it_says_is_a_protocol_error() {
    for after in [After::Keep, After::Close] {
        all_fail("protocol", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlonger", after);
    }
}

#[test]
fn two_responses_to_one_request_are_a_protocol_error() {
    let twice = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".repeat(2);
    all_fail("protocol", &twice, After::Keep);
}

#[test]
fn two_lengths_that_differ_are_a_protocol_error() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok";
    all_fail("protocol", bytes, After::Keep);
}

#[test]
fn a_length_beside_chunks_is_a_protocol_error() {
    let bytes =
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    all_fail("protocol", bytes, After::Keep);
}

#[test]
fn lengths_that_are_no_numbers_are_protocol_errors() {
    for length in ["-1", "2x", "", "99999999999999999999999"] {
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nok");
        all_fail("protocol", bytes.as_bytes(), After::Keep);
    }
}

#[test]
fn malformed_chunks_are_protocol_errors() {
    for chunks in
        ["xyz\r\n", "2\r\nokay\r\n0\r\n\r\n", "2\nok\n0\n\n", "\r\n", "fffffffffffffffff\r\n"]
    {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        all_fail("protocol", bytes.as_bytes(), After::Keep);
    }
}

#[test]
fn garbage_instead_of_a_response_is_a_protocol_error() {
    for bytes in [
        &b"<html><body>as HTTP/0.9 did it</body></html>"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"\0\0\0\0",
        b"\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        all_fail("protocol", bytes, After::Keep);
        all_fail("protocol", bytes, After::Close);
    }
}

#[test]
fn late_bytes_after_a_response_are_not_a_response_to_the_next_request() {
    // Late enough that the next request is there. Sooner, the bytes might arrive in one piece with
    // their response.
    let server = Server::start(|_, socket| {
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        socket.peek(&mut [0])?;
        socket.write_all(b"late").map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 1 --requests 10");
    // Each good response is followed by garbage that spoils the next one.
    assert_eq!(outcome.completed(), 5, "{:#}", outcome.json);
    outcome.assert_errors(&[("protocol", 5)]);
}

#[test]
fn a_head_without_end_is_a_protocol_error_sooner_than_a_timeout() {
    let server = Server::start(|_, socket| {
        socket.write_all(b"HTTP/1.1 200 OK\r\n")?;
        for _ in 0..10_000 {
            socket.write_all(b"X-Filler: 0123456789abcdef0123456789abcdef\r\n")?;
        }
        Ok(After::Hold)
    });
    let outcome = load(&server, "--connections 2 --requests 6 --timeout 5s");
    outcome.assert_errors(&[("protocol", 6)]);
}

#[test]
fn endless_header_fields_are_a_protocol_error() {
    let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", "X: y\r\n".repeat(6000));
    all_fail("protocol", bytes.as_bytes(), After::Keep);
}
