//! Requests that arrive in pieces: TCP is a stream, and the boundaries between pieces mean nothing.

use std::thread;
use std::time::Duration;

use super::{Behaviour, behaviours};
use crate::client::{Client, get};
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    answers_a_request_that_comes_byte_by_byte;
    at_once:
    serves_others_while_a_head_is_incomplete;
    by_family:
    answers_a_head_that_is_split_anywhere,
    answers_a_long_target_the_same_however_it_is_split,
    answers_a_request_whose_end_comes_with_the_next_one,
    skips_line_ends_in_front_of_a_request,
];

const REQUEST: &str = "GET /bytes/9 HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";

const MOMENT: Duration = Duration::from_millis(1);

/// A server, and another client whose responses show that the server has read the pieces so far.
struct Passing {
    server: Server,
    other: Option<Client>,
}

impl Passing {
    fn start(model: &Model) -> Self {
        let server = Server::start(model);
        let other = model.serves_several().then(|| server.connect());
        Self { server, other }
    }

    /// Sends `pieces` one by one. Between two pieces the other client gets a response, so the
    /// server has read the pieces so far. A server of one connection at a time gets a moment
    /// instead; if that is too short, a piece arrives together with the next one, and the test
    /// shows less.
    fn send_in_pieces<'a>(
        &mut self,
        client: &mut Client,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) {
        for piece in pieces {
            client.send(piece);
            match &mut self.other {
                Some(other) => assert_eq!(other.get("/bytes/1").status, 200),
                None => thread::sleep(MOMENT),
            }
        }
    }
}

fn answers_a_request_that_comes_byte_by_byte(model: &Model) {
    let mut passing = Passing::start(model);
    let mut client = passing.server.connect();
    for _ in 0..3 {
        passing.send_in_pieces(&mut client, REQUEST.as_bytes().chunks(1));
        assert_eq!(client.answer().body.len(), 9);
    }
}

fn answers_a_head_that_is_split_anywhere(model: &Model) {
    let mut passing = Passing::start(model);
    let mut client = passing.server.connect();
    for at in 1..REQUEST.len() {
        let (first, second) = REQUEST.as_bytes().split_at(at);
        passing.send_in_pieces(&mut client, [first, second]);
        assert_eq!(client.answer().body.len(), 9, "split at {at}");
    }
}

fn answers_a_long_target_the_same_however_it_is_split(model: &Model) {
    let mut passing = Passing::start(model);
    // Lengths around that of the longest request line, 8 KiB.
    for length in [8000, 8170, 8180, 8185, 8190, 8192, 8193, 8200] {
        let request = get(&format!("/{}", "a".repeat(length - 1)));
        let whole = passing.server.connect().ask(&request).status;
        let mut client = passing.server.connect();
        passing.send_in_pieces(&mut client, request.as_bytes().chunks(8196));
        assert_eq!(client.answer().status, whole, "a target of {length} bytes");
    }
}

fn answers_a_request_whose_end_comes_with_the_next_one(model: &Model) {
    let mut passing = Passing::start(model);
    let mut client = passing.server.connect();
    let requests = REQUEST.repeat(40);
    // A step that has no common factor with the length of a request.
    passing.send_in_pieces(&mut client, requests.as_bytes().chunks(37));
    for _ in 0..40 {
        assert_eq!(client.answer().body.len(), 9);
    }
}

fn skips_line_ends_in_front_of_a_request(model: &Model) {
    let mut passing = Passing::start(model);
    let mut client = passing.server.connect();
    let request = format!("\r\n\r\n{REQUEST}");
    assert_eq!(client.ask(&request).body.len(), 9);
    passing.send_in_pieces(&mut client, request.as_bytes().chunks(1));
    assert_eq!(client.answer().body.len(), 9);
}

fn serves_others_while_a_head_is_incomplete(model: &Model) {
    let server = Server::start(model);
    let mut stalled: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for client in &mut stalled {
        client.send("GET / HTTP/1.1\r\nHost: local");
    }
    for _ in 0..20 {
        server.assert_serves();
    }
    for client in &mut stalled {
        assert_eq!(client.ask("host\r\n\r\n").status, 200);
    }
}
