//! Malformed and malicious input: it is refused with the right status, and the connection is closed
//! so that the response arrives.

use std::io::Write as _;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Behaviour, behaviours};
use crate::client::Answer;
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    lets_a_client_that_keeps_sending_read_a_refusal,
    ends_the_connection_of_a_client_that_never_stops_sending;
    by_family:
    refuses_what_is_not_http,
    refuses_heads_that_two_parties_could_read_differently,
    refuses_ambiguous_framing,
    refuses_malformed_chunks,
    refuses_binary_noise,
    refuses_a_request_line_that_never_ends,
    refuses_headers_that_never_end,
    refuses_trailers_that_never_end,
    takes_nothing_after_a_refusal_for_a_request,
];

/// Sends `bytes` and checks that a complete response with `status` comes, and then the end of the
/// connection.
#[track_caller]
fn assert_refused(server: &Server, bytes: &[u8], status: u16) -> Answer {
    let mut client = server.connect();
    let answer = client.ask(bytes);
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]);
    assert_eq!(answer.status, status, "{shown:?}");
    assert!(answer.closes(), "{shown:?}: {}", answer.head);
    client.assert_ended();
    answer
}

fn refuses_what_is_not_http(model: &Model) {
    let server = Server::start(model);
    for bytes in [
        "\n\n",
        "\0",
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / \r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/11\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.\r\nHost: a\r\n\r\n",
        "GET / HTTPS/1.1\r\nHost: a\r\n\r\n",
        "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "*1\r\n$4\r\nPING\r\n\r\n",
        "{\"jsonrpc\": \"2.0\"}\r\n\r\n",
    ] {
        // A single byte is not a line yet; the line ends that follow complete it.
        assert_refused(&server, format!("{bytes}\r\n\r\n").as_bytes(), 400);
    }
    // A TLS ClientHello.
    assert_refused(&server, b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\n\r\n\r\n", 400);
}

fn refuses_heads_that_two_parties_could_read_differently(model: &Model) {
    let server = Server::start(model);
    for head in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    ] {
        assert_refused(&server, head.as_bytes(), 400);
    }
}

fn refuses_ambiguous_framing(model: &Model) {
    let server = Server::start(model);
    for (fields, status) in [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4", 400),
        ("Content-Length: 4\r\nContent-Length: 5", 400),
        ("Content-Length: 4, 5", 400),
        ("Content-Length: +4", 400),
        ("Content-Length: -4", 400),
        ("Content-Length: 0x4", 400),
        ("Content-Length: 4 4", 400),
        ("Content-Length: 4\0", 400),
        ("Content-Length:", 400),
        ("Content-Length: 18446744073709551620", 400),
        ("Content-Length : 4", 400),
        ("Content-Length\t: 4", 400),
        ("Transfer-Encoding : chunked", 400),
        ("Transfer-Encoding: chunked, identity", 400),
        ("Transfer-Encoding: chunked, chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
        ("Transfer-Encoding:\r\n chunked", 400),
        ("Transfer-Encoding: xchunked", 501),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: \u{b}chunked", 400),
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        assert_refused(&server, request.as_bytes(), status);
    }
    assert_refused(&server, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
}

fn refuses_malformed_chunks(model: &Model) {
    let server = Server::start(model);
    for (chunks, status) in [
        ("\r\n", 400),
        ("g\r\n", 400),
        ("-1\r\n", 400),
        ("0x5\r\nhello\r\n", 400),
        (" 5\r\nhello\r\n", 400),
        ("5 \r\nhello\r\n", 400),
        ("5\nhello\r\n", 400),
        ("5\rhello\r\n", 400),
        ("5;a\nb\r\nhello\r\n", 400),
        ("5\r\nhello0\r\n\r\n", 400),
        ("5\r\nhelloXX0\r\n\r\n", 400),
        ("ffffffffffffffff1\r\n", 400),
        ("1000001\r\n", 413),
    ] {
        let request =
            format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        assert_refused(&server, request.as_bytes(), status);
    }
}

fn refuses_binary_noise(model: &Model) {
    let server = Server::start(model);
    for seed in 0..50 {
        let mut noise = vec![0; 40_000];
        ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut noise);
        let mut client = server.connect();
        let answer = client.ask(&noise);
        assert!(matches!(answer.status, 400 | 414 | 501 | 505), "seed {seed}: {}", answer.status);
        client.assert_ended();
    }
    server.assert_serves();
}

/// Sends `begin`, then `filler` in small pieces, 64 KiB of it, which is much more than the server
/// accepts, and checks the response.
#[track_caller]
fn assert_refused_when_dripped(server: &Server, begin: &str, filler: &str, status: u16) {
    let mut client = server.connect();
    client.send(begin);
    for _ in 0..64 * 1024 / filler.len() {
        client.send(filler);
    }
    assert_eq!(client.answer().status, status);
    client.assert_ended();
    server.assert_serves();
}

fn refuses_a_request_line_that_never_ends(model: &Model) {
    let server = Server::start(model);
    assert_refused_when_dripped(&server, "GET /", "abcdefghijklmnopqrstuvwxyz0123456789", 414);
    assert_refused_when_dripped(&server, "", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 414);
}

fn refuses_headers_that_never_end(model: &Model) {
    let server = Server::start(model);
    let begin = "GET / HTTP/1.1\r\nHost: localhost\r\n";
    assert_refused_when_dripped(
        &server,
        begin,
        "X-Header: and its value, again and again\r\n",
        431,
    );
    assert_refused_when_dripped(
        &server,
        &format!("{begin}X: "),
        "one value that does not end, ",
        431,
    );
}

fn refuses_trailers_that_never_end(model: &Model) {
    let server = Server::start(model);
    let begin = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    assert_refused_when_dripped(
        &server,
        begin,
        "X-Trailer: and its value, again and again\r\n",
        431,
    );
}

/// A close with unread bytes would send a reset, which may destroy the response before the client
/// reads it (RFC 9112, section 9.6).
fn lets_a_client_that_keeps_sending_read_a_refusal(model: &Model) {
    let server = Server::start(model);
    for _ in 0..10 {
        let mut client = server.connect();
        client.send("GARBAGE\r\n\r\n");
        for _ in 0..128 {
            client.send([b'x'; 4096]);
        }
        assert_eq!(client.answer().status, 400);
        client.assert_ended();
    }
}

fn takes_nothing_after_a_refusal_for_a_request(model: &Model) {
    let server = Server::start(model);
    let get = "GET /bytes/5 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = server.connect();
    client.send(format!("{get}GARBAGE\r\n\r\n{get}"));
    assert_eq!(client.answer().body.len(), 5);
    assert_eq!(client.answer().status, 400);
    client.try_send(get);
    client.assert_ended();
}

fn ends_the_connection_of_a_client_that_never_stops_sending(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    client.send("GARBAGE\r\n\r\n");
    assert_eq!(client.answer().status, 400);
    let mut piece = Vec::new();
    write!(piece, "{}", "x".repeat(64 * 1024)).expect("a Vec takes any text");
    // 64 MiB is more than any server would take from a client that it has refused.
    let refused = (0..1024).any(|_| !client.try_send(&piece));
    assert!(refused, "the server reads on forever");
    server.assert_serves();
}
