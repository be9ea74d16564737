//! Lifetime of a connection, and the order of the responses on it.

use super::{Behaviour, behaviours};
use crate::client::{CLOSE, get, pattern};
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    keeps_a_connection_of_http_1_1,
    closes_when_a_client_of_http_1_1_asks_for_it,
    closes_after_each_of_many_short_connections,
    answers_pipelined_requests_in_order,
    answers_a_thousand_requests_sent_at_once,
    lets_a_client_that_keeps_sending_read_its_last_response;
    by_family:
    closes_a_connection_of_http_1_0,
    keeps_a_connection_of_http_1_0_that_asks_for_it_as_ab_does,
    answers_nothing_after_the_last_request,
];

fn keeps_a_connection_of_http_1_1(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for _ in 0..100 {
        let answer = client.get("/");
        assert_eq!((answer.status, answer.body.len()), (200, 1024));
        assert!(!answer.closes());
    }
    // Not even a missing page or a redirect ends the connection.
    for target in ["/nothing", "/redirect", "/"] {
        assert!(!client.get(target).closes(), "{target}");
    }
}

fn closes_when_a_client_of_http_1_1_asks_for_it(model: &Model) {
    let server = Server::start(model);
    for options in ["close", "Close", "keep-alive, close", "TE,close"] {
        let mut client = server.connect();
        client.get("/");
        let answer =
            client.ask(CLOSE.replace("Connection: close", &format!("Connection: {options}")));
        assert_eq!(answer.status, 200);
        assert!(answer.closes(), "{options}");
        client.assert_ended();
    }
}

fn closes_a_connection_of_http_1_0(model: &Model) {
    let server = Server::start(model);
    for request in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: close\r\n\r\n",
    ] {
        let mut client = server.connect();
        let answer = client.ask(request);
        assert_eq!((answer.status, answer.body.len()), (200, 1024));
        assert!(answer.closes());
        client.assert_ended();
    }
}

fn keeps_a_connection_of_http_1_0_that_asks_for_it_as_ab_does(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    let request = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: localhost\r\nUser-Agent: ApacheBench/2.3\r\n\
        Accept: */*\r\n\r\n";
    for _ in 0..20 {
        let answer = client.ask(request);
        assert_eq!((answer.status, answer.body.len()), (200, 1024));
        assert_eq!(answer.header("Connection"), Some("keep-alive"));
    }
    client.ask("GET / HTTP/1.0\r\n\r\n");
    client.assert_ended();
}

fn closes_after_each_of_many_short_connections(model: &Model) {
    let server = Server::start(model);
    for _ in 0..200 {
        let mut client = server.connect();
        assert_eq!(client.ask(CLOSE).body.len(), 1024);
        client.assert_ended();
    }
}

fn answers_pipelined_requests_in_order(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    // Mixed lengths, so that small responses follow large ones and the other way round; all
    // requests fit into the first packet.
    let lengths = [0, 1, 100_000, 5, 16_384, 16_385, 0, 2_000_000, 3, 65_536, 1024, 7];
    let requests: String = lengths.iter().map(|length| get(&format!("/bytes/{length}"))).collect();
    client.send(requests);
    for length in lengths {
        assert!(client.answer().body == pattern(length), "{length}");
    }
    assert_eq!(client.get("/").status, 200);
}

fn answers_a_thousand_requests_sent_at_once(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    // More requests than one read takes, and more responses than are written at once.
    let requests: String = (0..1000).map(|length| get(&format!("/bytes/{length}"))).collect();
    client.send(requests);
    for length in 0..1000 {
        assert_eq!(client.answer().body.len(), length);
    }
}

fn answers_nothing_after_the_last_request(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    client.send([&get("/bytes/1"), CLOSE, &get("/bytes/2"), &get("/bytes/3")].concat());
    assert_eq!(client.answer().body.len(), 1);
    assert!(client.answer().closes());
    client.assert_ended();
}

/// A close with unread bytes would send a reset, which may destroy the last response before the
/// client reads it (RFC 9112, section 9.6).
fn lets_a_client_that_keeps_sending_read_its_last_response(model: &Model) {
    let server = Server::start(model);
    for _ in 0..10 {
        let mut client = server.connect();
        client.send([CLOSE, &get("/").repeat(4000)].concat());
        assert_eq!(client.answer().body.len(), 1024);
        client.assert_ended();
        // A server that serves one connection at a time lingers until its client leaves.
        drop(client);
        // A client whose further requests come after the close.
        let mut client = server.connect();
        client.send(CLOSE);
        client.try_send(get("/").repeat(4000));
        assert_eq!(client.answer().body.len(), 1024);
        client.assert_is_over();
    }
}
