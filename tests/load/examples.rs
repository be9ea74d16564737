//! Examples of errors: the report shows one for each kind of error, and does not show a value that
//! is unknown because of failures.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::Value;

use crate::command::{Outcome, command, load, load_url, words};
use crate::server::{After, OK, Server};

/// Timeout for requests that get no response. Other requests have the timeout of an ordinary run,
/// on a busy machine too.
const SHORT: &str = "--timeout 100ms";

/// Returns the example of a kind of error, which has to be there.
#[track_caller]
fn example<'a>(outcome: &'a Outcome, kind: &str) -> &'a str {
    let example = outcome.json["error_examples"][kind].as_str();
    example.unwrap_or_else(|| panic!("no example of {kind} in {:#}", outcome.json))
}

/// Checks that every request fails in the way of `kind`, and that the example, also on standard
/// error, contains all of `parts`.
#[track_caller]
fn all_fail(server: &Server, kind: &str, parts: &[&str]) {
    all_fail_with("", server, kind, parts);
}

/// Checks what [`all_fail`] checks, in a run with further options.
#[track_caller]
fn all_fail_with(options: &str, server: &Server, kind: &str, parts: &[&str]) {
    let outcome = load(server, &format!("--connections 1 --requests 3 {options}"));
    outcome.assert_errors(&[(kind, 3)]);
    let example = example(&outcome, kind);
    assert!(parts.iter().all(|part| example.contains(part)), "{example}");
    assert!(outcome.stderr.contains(example), "{}", outcome.stderr);
}

#[test]
fn a_protocol_error_shows_its_reason_and_the_line() {
    let server = Server::answering(*b"SSH-2.0-OpenSSH_9.2\r\n", After::Keep);
    let address = server.address.to_string();
    all_fail(
        &server,
        "protocol",
        &[&address, "does not begin with HTTP/1.", "SSH-2.0-OpenSSH_9.2"],
    );
    let server =
        Server::answering(*b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlonger", After::Keep);
    all_fail(&server, "protocol", &["bytes follow the response", "nger"]);
    let server =
        Server::answering(*b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 0x5\r\n\r\n", After::Keep);
    all_fail(&server, "protocol", &["is not one number", "Content-Length: 0x5"]);
}

#[test]
fn a_connection_that_breaks_off_shows_where_and_how() {
    let server = Server::answering(*b"", After::Close);
    all_fail(
        &server,
        "reset",
        &[&server.address.to_string(), "closed by the server before a response"],
    );
    let server = Server::answering(*b"HTTP/1.1 200", After::Close);
    all_fail(&server, "reset", &["closed by the server within a response"]);
    let server = Server::answering(*b"", After::Reset);
    all_fail(&server, "reset", &["Connection reset by peer (os error 104), before a response"]);
}

#[test]
fn a_timeout_shows_how_far_the_request_came() {
    let server = Server::answering(*b"", After::Hold);
    all_fail_with(
        SHORT,
        &server,
        "timeout",
        &[&server.address.to_string(), "no response within 100ms"],
    );
    let server = Server::answering(*b"HTTP/1.1 200 OK\r\n", After::Hold);
    all_fail_with(SHORT, &server, "timeout", &["no end of a response within 100ms"]);
}

#[test]
fn failed_responses_show_all_their_status_codes() {
    let server = Server::start(|request, socket| {
        let status = ["404 Not Found", "503 Service Unavailable", "404 Not Found", "200 OK"]
            [request.total % 4];
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        socket.write_all(head.as_bytes()).map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 1 --requests 20");
    assert_eq!(example(&outcome, "status"), "404 (10 times), 503 (5 times)");
    assert_eq!(outcome.json["status_codes"], serde_json::json!({ "200": 5, "404": 10, "503": 5 }));
}

#[test]
fn a_connection_that_is_refused_shows_its_address_and_error() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address").to_string();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept()?;
        drop(listener);
        let _ = socket.read(&mut [0; 4096])?;
        socket.write_all(OK)
    });
    let arguments = words("--connections 1 --lifetime short --duration 200ms");
    let outcome = load_url(&format!("http://{address}/"), &arguments);
    assert!(outcome.count("errors/connect") > 0, "{:#}", outcome.json);
    assert_eq!(
        example(&outcome, "connect"),
        format!("{address}: Connection refused (os error 111)")
    );
    server.join().expect("it does not panic").expect("its client is there");
}

#[test]
fn a_good_run_has_no_examples() {
    let server = Server::answering(OK, After::Keep);
    let outcome = load(&server, "--connections 1 --requests 5");
    assert!(outcome.json.get("error_examples").is_none(), "{:#}", outcome.json);
    assert_eq!(outcome.json["status_codes"], serde_json::json!({ "200": 5 }));
}

#[test]
fn the_text_shows_examples_and_traffic_and_no_percentile_that_failures_leave_unknown() {
    let server = Server::start(|request, socket| match request.total % 200 {
        199 => Ok(After::Reset),
        _ => socket.write_all(OK).map(|()| After::Keep),
    });
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("o.json");
    let path = file.to_str().expect("it is text");
    // More than 10,000 completed requests: enough for p99.9, if none had failed.
    let arguments = ["--connections", "8", "--requests", "11000", "--output", path];
    let output = command(&server.url(), &arguments).output().expect("the command can be run");
    let text = String::from_utf8(output.stdout).expect("it is text");
    let line = |begin: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(begin));
        line.unwrap_or_else(|| panic!("no {begin} in {text}")).to_owned()
    };
    assert!(line("reset: 127.0.0.1:").contains("(os error 104)"), "{text}");
    let traffic = line("status: ");
    for part in [" 2xx · ", "B/s read, ", "B/s written · ", " requests per connection"] {
        assert!(traffic.contains(part), "{traffic}");
    }
    let service = line("service");
    assert_eq!(
        service.matches('–').count(),
        2,
        "p99 is known, p99.9 and the mean are not: {service}"
    );
    assert!(service.contains('≥'), "the maximum is a bound: {service}");
    let json: Value =
        serde_json::from_slice(&fs::read(file).expect("it was written")).expect("it is JSON");
    assert!(json["service_us"]["p99.9"].as_f64().is_some_and(|us| us > 0.0), "{json:#}");
    let known = json["service_us"]["known_to"].as_f64().expect("some requests failed");
    assert!((0.991..0.999).contains(&known), "{known}");
}
