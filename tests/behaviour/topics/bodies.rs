//! Request bodies: the endpoints do not use them, but the server has to find the end of each body,
//! where the next request begins.

use super::{Behaviour, behaviours};
use crate::client::get;
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    reads_past_a_large_body,
    says_continue_to_a_client_that_waits_for_it,
    closes_without_a_response_when_a_body_breaks_off;
    by_family:
    reads_past_a_body_with_a_length,
    reads_past_a_chunked_body,
    reads_past_the_body_of_a_get,
    does_not_say_continue_to_a_client_that_did_not_wait,
    answers_a_body_of_http_1_0,
];

fn reads_past_a_body_with_a_length(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    // The body looks like a request, and must not be taken for one.
    let body = get("/bytes/1");
    let head =
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    client.send([head, body, get("/bytes/2")].concat());
    assert_eq!(client.answer().status, 405);
    assert_eq!(client.answer().body.len(), 2);
}

fn reads_past_a_chunked_body(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for chunks in [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "5;name=value\r\nhello\r\n00a\r\n0123456789\r\n000\r\nTrailer: x\r\n\r\n",
    ] {
        let head = "PUT /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: Chunked\r\n\r\n";
        client.send([head, chunks, &get("/bytes/2")].concat());
        assert_eq!(client.answer().status, 405, "{chunks:?}");
        assert_eq!(client.answer().body.len(), 2, "{chunks:?}");
    }
}

fn reads_past_the_body_of_a_get(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    client.send("GET /bytes/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc");
    client.send(get("/bytes/2"));
    assert_eq!(client.answer().body.len(), 1);
    assert_eq!(client.answer().body.len(), 2);
}

fn reads_past_a_large_body(model: &Model) {
    const LENGTH: usize = 4 * 1024 * 1024;
    let server = Server::start(model);
    let mut client = server.connect();
    let body = vec![b'x'; LENGTH];
    client.send(format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LENGTH}\r\n\r\n"));
    client.send(&body);
    assert_eq!(client.answer().status, 405);
    client.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(LENGTH / 16) {
        client.send(format!("{:x}\r\n", chunk.len()));
        client.send(chunk);
        client.send("\r\n");
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.answer().status, 405);
    assert_eq!(client.get("/").status, 200);
}

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";

fn says_continue_to_a_client_that_waits_for_it(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for _ in 0..3 {
        let interim = client.ask(EXPECTING);
        // A final response at once would be as good, but then the server would have to close the
        // connection, or it would take the body for a request.
        assert_eq!(interim.status, 100);
        assert_eq!(client.ask("hi").status, 405);
    }
    assert_eq!(client.get("/").status, 200);
}

fn does_not_say_continue_to_a_client_that_did_not_wait(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    assert_eq!(client.ask(format!("{EXPECTING}hi")).status, 405);
    assert_eq!(client.get("/").status, 200);
}

fn answers_a_body_of_http_1_0(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    assert_eq!(client.ask("POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi").status, 405);
    client.assert_ended();
}

fn closes_without_a_response_when_a_body_breaks_off(model: &Model) {
    let server = Server::start(model);
    for request in [
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ] {
        let mut client = server.connect();
        client.send(request);
        client.shut_sending();
        client.assert_ended();
    }
    server.assert_serves();
}
