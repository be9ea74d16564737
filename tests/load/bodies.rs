//! Requests arrive at the server exactly as the arguments describe them.

use std::fs;
use std::io::Write;
use std::time::Duration;

use crate::command::{Outcome, load, load_url};
use crate::server::{After, OK, Server};
use crate::wait;

fn answering() -> Server {
    Server::answering(OK, After::Keep)
}

#[track_caller]
fn all_complete(outcome: &Outcome, requests: u64) {
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), requests);
}

#[test]
fn a_plain_request_has_only_the_required_fields() {
    let server = answering();
    all_complete(&load(&server, "--connections 1 --requests 3"), 3);
    for request in server.requests() {
        assert_eq!(request.head, format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address));
        assert_eq!(request.body, b"");
    }
}

#[test]
fn a_path_with_a_query_arrives() {
    let server = answering();
    let url = format!("{}a/b?c=d&e=%20f", server.url());
    all_complete(&load_url(&url, &["--connections", "1", "--requests", "1"]), 1);
    assert!(server.requests()[0].head.starts_with("GET /a/b?c=d&e=%20f HTTP/1.1\r\n"));
}

#[test]
fn a_method_header_fields_and_a_body_arrive_in_their_order() {
    let server = answering();
    let outcome = load_url(
        &server.url(),
        &[
            "--connections",
            "2",
            "--requests",
            "10",
            "--method",
            "POST",
            "--body",
            "key=value & more",
            "--header",
            "X-One: first",
            "--header",
            "Content-Type: text/plain; charset=utf-8",
            "--header",
            "X-One: again:and again",
        ],
    );
    all_complete(&outcome, 10);
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nX-One: first\r\nContent-Type: text/plain; charset=utf-8\r\n\
         X-One: again:and again\r\nContent-Length: 16\r\n\r\n",
        server.address
    );
    for request in server.requests() {
        assert_eq!(
            (request.head.as_str(), request.body.as_slice()),
            (head.as_str(), &b"key=value & more"[..])
        );
    }
}

#[test]
fn a_host_that_is_given_takes_the_place_of_the_urls() {
    let server = answering();
    let arguments = ["--connections", "1", "--requests", "1", "--header", "Host: example.org"];
    all_complete(&load_url(&server.url(), &arguments), 1);
    assert_eq!(server.requests()[0].head, "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
}

/// Returns bytes of every value, so arranged that a shift by one byte is noticed.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn a_body_from_a_file_arrives_byte_by_byte() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("body");
    fs::write(&file, bytes(100_000)).expect("it can be written");
    let server = answering();
    let body = format!("@{}", file.display());
    let arguments = ["--connections", "2", "--requests", "6", "--method", "PUT", "--body", &body];
    all_complete(&load_url(&server.url(), &arguments), 6);
    assert!(server.requests().iter().all(|request| request.body == bytes(100_000)));
}

#[test]
fn a_large_body_arrives_at_a_server_that_reads_slowly() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("body");
    fs::write(&file, bytes(1 << 20)).expect("it can be written");
    // 64 reads of 16 KiB with 2 ms before each.
    let server = Server::reading_slowly(16 * 1024, Duration::from_millis(2));
    let body = format!("@{}", file.display());
    let arguments = ["--connections", "2", "--requests", "4", "--method", "POST", "--body", &body];
    let outcome = load_url(&server.url(), &arguments);
    all_complete(&outcome, 4);
    assert!(server.requests().iter().all(|request| request.body == bytes(1 << 20)));
    assert!(outcome.number("latency_us/min") >= 100_000.0, "{:#}", outcome.json);
    assert!(outcome.count("bytes/written") >= 4 << 20, "{:#}", outcome.json);
}

#[test]
fn a_server_that_stops_reading_within_a_body_has_the_request_time_out() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("body");
    fs::write(&file, bytes(16 << 20)).expect("it can be written");
    let server = Server::greeting(|_, _| {
        std::thread::sleep(wait::PATIENCE);
        After::Close
    });
    let body = format!("@{}", file.display());
    let arguments = [
        "--connections",
        "2",
        "--requests",
        "2",
        "--method",
        "POST",
        "--timeout",
        "300ms",
        "--body",
        &body,
    ];
    let outcome = load_url(&server.url(), &arguments);
    outcome.assert_errors(&[("timeout", 2)]);
}

#[test]
fn a_response_before_the_body_was_read_does_not_break_the_next_request() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("body");
    fs::write(&file, bytes(8 << 20)).expect("it can be written");
    // The server answers as soon as the connection is established, then reads the request and
    // answers it.
    let server = Server::greeting(|_, socket| {
        let mut head = [0; 1024];
        match socket.peek(&mut head).and_then(|_| socket.write_all(OK)) {
            Ok(()) => After::Keep,
            Err(_) => After::Close,
        }
    });
    let body = format!("@{}", file.display());
    let arguments = [
        "--connections",
        "1",
        "--requests",
        "2",
        "--method",
        "POST",
        "--timeout",
        "1s",
        "--body",
        &body,
    ];
    load_url(&server.url(), &arguments);
    for request in server.requests() {
        assert!(
            request.body == bytes(8 << 20),
            "another request began within the body of this one"
        );
    }
}
