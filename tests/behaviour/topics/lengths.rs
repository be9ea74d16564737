//! Responses of `/bytes/N?length=…`, whose length is told in another way than by a right
//! `Content-Length`: what a client gets, and what becomes of the connection.

use super::{Behaviour, behaviours};
use crate::client::{Client, get, pattern};
use crate::model::Model;
use crate::server::{Server, WINDOW};

pub const BEHAVIOURS: &[Behaviour] = behaviours![;
    by_family:
    lets_a_client_wait_that_is_told_no_length,
    ends_a_body_without_a_length_with_the_connection,
    sends_chunks_to_a_client_that_knows_them,
    sends_more_than_a_short_length_says,
    sends_less_than_a_long_length_says,
    answers_404_to_a_length_that_cannot_be_told,
];

/// Lengths of bodies: none, within a chunk, a chunk and one byte more, and longer than what other
/// responses copy.
const LENGTHS: [usize; 4] = [0, 100, 4097, 70_000];

/// Requests a body, and reads only the head of the response.
#[track_caller]
fn head_of(client: &mut Client, target: &str) -> String {
    client.send(get(target));
    client.head()
}

fn lets_a_client_wait_that_is_told_no_length(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for length in LENGTHS {
        let head = head_of(&mut client, &format!("/bytes/{length}?length=none"));
        assert!(!head.contains("Content-Length") && !head.contains("Transfer-Encoding"), "{head}");
        assert!(client.read_exactly(length) == pattern(length), "{length}");
    }
    // Nothing tells the client that this was all, until it asks for something else.
    assert!(client.hears_nothing_for(WINDOW));
    assert_eq!(client.get("/").body.len(), 1024);
}

fn ends_a_body_without_a_length_with_the_connection(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    client.send("GET /bytes/100?length=none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(client.head().contains("Connection: close"));
    assert!(client.read_exactly(100) == pattern(100));
    client.assert_ended();
}

fn sends_chunks_to_a_client_that_knows_them(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for length in LENGTHS {
        let head = head_of(&mut client, &format!("/bytes/{length}?length=chunked"));
        assert!(head.contains("Transfer-Encoding: chunked") && !head.contains("Content-Length"));
        assert!(read_chunks(&mut client) == pattern(length), "{length}");
    }
    client.send("HEAD /bytes/100?length=chunked HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.head().contains("Transfer-Encoding: chunked"));
    // A body after the response to HEAD would be read here as part of the next response.
    assert_eq!(client.get("/").body.len(), 1024);
    let old = "GET /bytes/100?length=chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert!(client.ask(old).body == pattern(100), "HTTP/1.0 has no chunks");
}

/// Reads a chunked body to its end (RFC 9112, section 7.1).
#[track_caller]
fn read_chunks(client: &mut Client) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let size = read_line(client);
        let size = usize::from_str_radix(&size, 16).expect("a chunk begins with its size");
        body.extend(client.read_exactly(size));
        assert_eq!(read_line(client), "", "a chunk ends with a line end");
        if size == 0 {
            return body;
        }
    }
}

#[track_caller]
fn read_line(client: &mut Client) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.extend(client.read_exactly(1));
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).expect("the line is text")
}

fn sends_more_than_a_short_length_says(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for length in [1, 100, 70_000] {
        let answer = client.get(&format!("/bytes/{length}?length=short"));
        assert_eq!(answer.header("Content-Length"), Some(&*(length / 2).to_string()));
        client.send(get("/"));
        // The rest of the body is where the client looks for the next response.
        let expected = pattern(length).split_off(length / 2);
        assert!(client.read_exactly(expected.len()) == expected, "{length}");
        assert_eq!(client.answer().body.len(), 1024);
    }
}

fn sends_less_than_a_long_length_says(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for length in [1, 100, 70_000] {
        client.send(get(&format!("/bytes/{length}?length=long")));
        assert_eq!(client.read_head(), 2 * length);
        assert!(client.read_exactly(length) == pattern(length), "{length}");
    }
    assert!(client.hears_nothing_for(WINDOW));
    // A client that waits for the rest takes the next response for it.
    client.send(get("/"));
    assert_eq!(client.read_exactly(9), b"HTTP/1.1 ");
}

fn answers_404_to_a_length_that_cannot_be_told(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for target in ["/bytes/5?length=", "/bytes/5?length=right", "/bytes/0?length=short"] {
        assert_eq!(client.get(target).status, 404, "{target}");
    }
}
