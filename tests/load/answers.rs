//! All forms that a response may have in HTTP/1.1: each is counted correctly.

use std::io::Write;

use crate::command::load;
use crate::server::{After, OK, Request, Server};

/// Checks that responses of these bytes all count as complete, on connections that stay open.
#[track_caller]
fn all_complete(bytes: &[u8], arguments: &str) {
    let server = Server::answering(bytes, After::Keep);
    let outcome = load(&server, &format!("--connections 2 --requests 50 {arguments}"));
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 50);
    assert_eq!(outcome.count("connections/opened_total"), 2, "{:#}", outcome.json);
}

#[test]
fn interim_responses_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    all_complete(format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").as_bytes(), "");
}

#[test]
fn heads_are_accepted_as_by_other_clients() {
    let fields = "X: y\r\n".repeat(150);
    let long = "y".repeat(70_000);
    for head in [
        "X: a\r\n b\r\nContent-Length: 2\r\n\r\n",
        "Content-Length:\r\n\t2\r\n\r\n",
        &format!("{fields}Content-Length: 2\r\n\r\n"),
        &format!("X: {long}\r\nContent-Length: 2\r\n\r\n"),
        "Content-Length: 2\n\n",
    ] {
        all_complete(format!("HTTP/1.1 200 OK\r\n{head}ok").as_bytes(), "");
    }
    all_complete(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "");
}

#[test]
fn interim_responses_before_a_redirection_do_not_hide_it() {
    let server = Server::start(|request, socket| {
        if request.head.starts_with("GET / ") {
            for interim in ["100 Continue", "102 Processing", "103 Early Hints\r\nLink: </a>"] {
                socket.write_all(format!("HTTP/1.1 {interim}\r\n\r\n").as_bytes())?;
            }
            socket.write_all(
                b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n",
            )?;
            return Ok(After::Close);
        }
        socket.write_all(OK).map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 1 --requests 5 --follow");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.json["target"], format!("{}there", server.url()));
    assert_eq!(outcome.count("requests/redirected"), 0);
}

#[test]
fn an_unrequested_switch_of_protocols_fails_at_once() {
    let bytes = *b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
    for arguments in ["", "--follow"] {
        let server = Server::answering(bytes, After::Keep);
        let outcome = load(&server, &format!("--connections 1 --requests 5 {arguments}"));
        outcome.assert_errors(&[("protocol", 5)]);
        assert!(outcome.stderr.contains("switches to another protocol"), "{}", outcome.stderr);
    }
}

#[test]
fn a_post_without_a_body_says_so() {
    for method in ["POST", "PUT"] {
        let server = Server::answering(OK, After::Keep);
        load(&server, &format!("--connections 1 --requests 2 --method {method}"))
            .assert_errors(&[]);
        let says = |request: &Request| request.head.contains("\r\nContent-Length: 0\r\n");
        assert!(server.requests().iter().all(says), "{method}");
    }
}

#[test]
fn responses_without_a_body_end_with_their_heads() {
    for bytes in [
        &b"HTTP/1.1 204 No Content\r\n\r\n"[..],
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        all_complete(bytes, "");
    }
}

#[test]
fn responses_to_head_have_a_length_and_no_body() {
    all_complete(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", "--method HEAD");
    all_complete(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "--method HEAD");
    all_complete(b"HTTP/1.1 200 OK\r\n\r\n", "--method HEAD");
}

#[test]
fn a_body_after_a_response_to_head_is_a_protocol_error() {
    let server = Server::answering(*b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", After::Keep);
    let outcome = load(&server, "--connections 1 --requests 5 --method HEAD");
    outcome.assert_errors(&[("protocol", 5)]);
}

#[test]
fn chunked_responses_end_with_their_last_chunk() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in [
        "0\r\n\r\n",
        "2\r\nok\r\n0\r\n\r\n",
        "2;name=value\r\nok\r\n0A\r\n0123456789\r\n00\r\n\r\n",
        "1\r\nx\r\n0\r\nTrailer: of one\r\nAnd: another\r\n\r\n",
    ] {
        all_complete(format!("{head}{chunks}").as_bytes(), "");
    }
}

#[test]
fn a_large_response_is_one_response() {
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n".to_vec();
    bytes.resize(bytes.len() + 3_000_000, b'x');
    let whole = bytes.len() as u64;
    let server = Server::answering(bytes, After::Keep);
    let outcome = load(&server, "--connections 2 --requests 10");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 10);
    assert_eq!(outcome.count("bytes/read"), 10 * whole);
}

#[test]
fn responses_that_differ_each_time_are_all_read() {
    let server = Server::start(|request, socket| {
        let body = "x".repeat(request.total % 97);
        let head = format!(
            "HTTP/1.1 200 OK\r\nX-Number: {}\r\nContent-Length: {}\r\n\r\n",
            request.total,
            body.len()
        );
        socket.write_all(format!("{head}{body}").as_bytes()).map(|()| After::Keep)
    });
    let outcome = load(&server, "--connections 3 --requests 300");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 300);
}

#[test]
fn a_response_without_a_length_ends_with_its_connection() {
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let server =
            Server::answering(format!("{version} 200 OK\r\n\r\nuntil the end"), After::Close);
        let outcome = load(&server, "--connections 2 --requests 20");
        outcome.assert_errors(&[]);
        assert_eq!(outcome.completed(), 20);
        assert!(outcome.count("connections/opened_total") >= 20, "{:#}", outcome.json);
    }
}

#[test]
fn redirections_are_responses_and_are_not_followed() {
    let server = Server::answering(
        *b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        After::Keep,
    );
    let outcome = load(&server, "--connections 1 --requests 20");
    outcome.assert_errors(&[]);
    assert_eq!(outcome.completed(), 20);
    assert!(server.requests().iter().all(|request| request.head.starts_with("GET / HTTP/1.1\r\n")));
}

#[test]
fn statuses_from_400_are_status_errors_on_connections_that_stay() {
    for status in ["404 Not Found", "500 Internal Server Error", "503 Service Unavailable"] {
        let server = Server::answering(
            format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno"),
            After::Keep,
        );
        let outcome = load(&server, "--connections 1 --requests 20");
        outcome.assert_errors(&[("status", 20)]);
        assert_eq!(outcome.completed(), 0);
        assert_eq!(outcome.count("latency_us/count"), 0, "errors are no latencies");
        assert_eq!(outcome.count("connections/opened_total"), 1);
        assert!(outcome.stderr.contains("20 status; "), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("check the path"), "{}", outcome.stderr);
        // The connection got responses, so it is not starved.
        assert_eq!(outcome.count("connections/starved"), 0);
    }
}

#[test]
fn an_unregistered_status_counts_by_its_class() {
    all_complete(b"HTTP/1.1 299 Fine\r\nContent-Length: 0\r\n\r\n", "");
    let server = Server::answering(*b"HTTP/1.1 499 \r\nContent-Length: 0\r\n\r\n", After::Keep);
    load(&server, "--connections 1 --requests 5").assert_errors(&[("status", 5)]);
}
