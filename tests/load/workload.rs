//! The measured workload is the requested one, or the run reports how it differs.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::command::{command, load, load_url, until_shown, words};
use crate::server::{After, OK, Server};
use crate::wait;

#[test]
fn persistent_connections_that_the_server_closes_after_each_response_are_another_workload() {
    for answer in [OK, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"] {
        let outcome =
            load(&Server::answering(answer, After::Close), "--connections 4 --duration 200ms");
        let (verdict, detail) = outcome.check("connections-reused");
        assert_eq!(verdict, "fail", "{detail}");
        assert!(detail.contains("asked (persistent)"), "{detail}");
    }
    let outcome = load(&Server::answering(OK, After::Keep), "--connections 4 --duration 200ms");
    assert_eq!(outcome.check("connections-reused"), ("pass", "0 connections were made again"));
}

#[test]
fn connections_of_an_open_loop_that_are_made_again_are_reported_too() {
    let server = Server::answering(OK, After::Close);
    let outcome = load(&server, "--connections 4 --rate 200 --duration 400ms");
    assert_eq!(outcome.check("connections-reused").0, "fail", "{:#}", outcome.json);
}

/// A connection that is made again before a request needs it finds requests waiting once it is
/// established.
#[test]
fn a_connection_that_is_made_while_requests_wait_counts_once() {
    let server = Server::answering(OK, After::Close);
    let outcome = load(&server, "--connections 2 --rate 3000 --duration 300ms");
    let opened = outcome.count("connections/opened_total");
    wait::until("all of them were accepted", || server.seen().len() as u64 >= opened);
}

#[test]
fn responses_that_are_all_redirections_are_reported() {
    let redirection = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n";
    let outcome =
        load(&Server::answering(redirection, After::Keep), "--connections 2 --requests 100");
    let (verdict, detail) = outcome.check("answers");
    assert_eq!(verdict, "warn");
    assert!(detail.starts_with("100 % of responses are redirections"), "{detail}");
    assert_eq!(
        outcome.count("bodies/counted"),
        0,
        "what a redirection says is no body that was asked for"
    );
}

/// Returns a server that answers every tenth request with two bytes, by turns with a
/// `Content-Length` and in chunks, and the others with none.
fn mostly_empty() -> Server {
    Server::start(|request, socket| {
        let bodies: [&[u8]; 2] =
            [OK, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"];
        let empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let answer = if request.total % 10 == 0 { bodies[request.total / 10 % 2] } else { empty };
        socket.write_all(answer).map(|()| After::Keep)
    })
}

#[test]
fn responses_that_are_mostly_empty_are_reported_and_counted() {
    let outcome = load(&mostly_empty(), "--connections 1 --requests 200");
    assert_eq!(
        outcome.json["bodies"],
        json!({ "counted": 200, "empty": 180, "shortest": 0, "longest": 2 })
    );
    let (verdict, detail) = outcome.check("answers");
    assert_eq!((verdict, &detail[..23]), ("warn", "90 % of bodies are empt"));
    let output = command(&mostly_empty().url(), &words("--connections 1 --requests 20")).output();
    let text =
        String::from_utf8(output.expect("the command can be run").stdout).expect("it speaks text");
    assert!(text.contains("bodies: 0 to 2 bytes, 18 of 20 empty"), "{text}");
}

#[test]
fn a_body_that_ends_with_its_connection_is_as_long_as_the_bytes_that_came() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\n\r\nas long as it lasts", After::Close);
    let outcome = load(&server, "--connections 1 --requests 5");
    assert_eq!(
        outcome.json["bodies"],
        json!({ "counted": 5, "empty": 0, "shortest": 19, "longest": 19 })
    );
}

#[test]
fn a_response_to_head_has_no_body_that_could_be_missing() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n";
    let outcome = load(
        &Server::answering(answer, After::Keep),
        "--connections 1 --requests 50 --method HEAD",
    );
    assert_eq!(outcome.count("bodies/counted"), 0);
    assert_eq!(outcome.check("answers").0, "pass");
}

#[test]
fn a_result_says_how_it_was_made() {
    let server = Server::answering(OK, After::Keep);
    let arguments = "--connections 4 --rate 200 --arrivals poisson --seed 7 --requests 20 --lifetime 5 --timeout 2s --threads 2";
    let workload = load_url(&server.url(), &words(arguments)).json["workload"].clone();
    let expected = json!({
        "method": "GET", "body_bytes": 0, "connections": 4, "idle": 0, "slow": 0, "lifetime": "5",
        "rate_rps": 200.0, "arrivals": "poisson", "seed": 7, "spin_s": 0.0001, "requests": 20, "warmup_s": 0.0, "timeout_s": 2.0,
        "threads": 2, "interval_s": 1.0
    });
    assert_eq!(workload, expected);
}

#[test]
fn requests_that_wait_in_the_queue_of_their_thread_are_reported() {
    let run = || {
        let server = Server::start(|_, socket| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            socket.write_all(OK).map(|()| After::Keep)
        });
        load(&server, "--connections 2 --rate 250 --arrivals poisson --duration 500ms --threads 2")
    };
    let outcome = until_shown("some wait", run, |outcome| outcome.check("queues").0 == "warn");
    assert!(outcome.check("queues").1.contains("waited in 2 queues"), "{:#}", outcome.json);
}

/// Runs the command with so few descriptors that the connections that the server leaves open take
/// all of them.
fn with_descriptors(limit: u32, url: &str, arguments: &str) -> Value {
    let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
    let run = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_c10k"), "load", url, "--warmup", "0s", "--json"])
        .args(words(arguments))
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

#[test]
fn a_generator_that_is_out_of_descriptors_says_that_it_is_not_the_server() {
    // The server never closes a connection that it was asked to close, so the client keeps it for a
    // second.
    let server = Server::answering(OK, After::Hold);
    let json =
        with_descriptors(80, &server.url(), "--connections 4 --lifetime short --duration 300ms");
    assert!(json["generator_limits"]["descriptors"].as_u64() > Some(0), "{json:#}");
    assert_eq!(json["generator_limits"]["ports"], 0);
    let checks = json["checks"].as_array().expect("it has checks");
    let check =
        checks.iter().find(|check| check["name"] == "generator-limits").expect("it applies");
    assert_eq!(check["verdict"], "fail");
    assert!(check["detail"].as_str().is_some_and(|detail| detail.contains("EMFILE")), "{check}");
}
