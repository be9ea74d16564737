//! Clients that take their time: each of them is served for as long as it gets on, and let go when it does not.
//!
//! What has to run out is short; what must not is several times longer than the pauses of the client, since the machine may
//! be busy.

use std::thread;
use std::time::{Duration, Instant};

use super::{Behaviour, behaviours};
use crate::client::{Client, get, pattern};
use crate::holdings::Holdings;
use crate::model::Model;
use crate::server::Server;
use crate::wait;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    lets_a_refused_client_go_that_stays,
    lets_a_refused_client_go_that_talks_on_slowly,
    gives_each_head_a_clock_of_its_own,
    keeps_a_connection_that_keeps_asking,
    keeps_a_connection_whose_body_keeps_coming,
    keeps_a_client_that_reads_slowly,
    answers_408_to_a_head_that_comes_octet_by_octet,
    answers_408_to_a_head_that_does_not_go_on,
    answers_408_to_a_body_that_does_not_go_on,
    ends_an_idle_connection_without_a_word,
    ends_a_connection_that_never_says_anything,
    cuts_clients_that_do_not_read_and_keeps_nothing_of_them,
];

/// A time that is to run out.
const SHORT: Duration = Duration::from_millis(200);

/// Between two octets, or two requests, of a client that gets on.
const PAUSE: Duration = Duration::from_millis(20);

/// How much earlier than the client a server may read the clock that it measures by.
const TOLERANCE: Duration = Duration::from_millis(20);

const BODY: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n";

fn serve(model: &Model, option: &str, time: Duration) -> Server {
    Server::launch(model).arguments([option.to_owned(), format!("{}ms", time.as_millis())]).start()
}

/// Checks that a client is told 408, and no earlier than `SHORT` after `begin`.
#[track_caller]
fn assert_timed_out(mut client: Client, begin: Instant) {
    let answer = client.answer();
    assert!(begin.elapsed() + TOLERANCE >= SHORT, "after {:?}", begin.elapsed());
    assert_eq!(answer.status, 408);
    assert!(answer.closes());
    client.assert_ended();
}

/// The "slowloris": every octet comes soon enough, and the head never ends.
fn answers_408_to_a_head_that_comes_octet_by_octet(model: &Model) {
    let server = serve(model, "--head-timeout", SHORT);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    wait::until("the client is told", || {
        server.assert_serves_others();
        let is_told = !client.hears_nothing_for(PAUSE);
        if !is_told {
            client.send("x");
        }
        is_told
    });
    assert_timed_out(client, begin);
    server.assert_serves();
}

fn answers_408_to_a_head_that_does_not_go_on(model: &Model) {
    let server = serve(model, "--head-timeout", SHORT);
    for part in ["G", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut client = server.connect();
        // An answer before it, so that it is not the first head only.
        client.get("/");
        let begin = Instant::now();
        client.send(part);
        server.assert_serves_others();
        assert_timed_out(client, begin);
    }
    server.assert_serves();
}

/// The second head has begun with the end of the first: together they may take longer than one of them.
fn gives_each_head_a_clock_of_its_own(model: &Model) {
    const TIMEOUT: Duration = Duration::from_millis(1500);
    let server = serve(model, "--head-timeout", TIMEOUT);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send("GET /bytes/1 HTTP/1.1\r\n");
    thread::sleep(TIMEOUT * 3 / 5);
    client.send("Host: localhost\r\n\r\nGET /bytes/2 HTTP/1.1\r\n");
    assert_eq!(client.answer().body.len(), 1);
    thread::sleep(TIMEOUT * 3 / 5);
    assert!(begin.elapsed() > TIMEOUT);
    client.send("Host: localhost\r\n\r\n");
    assert_eq!(client.answer().body.len(), 2);
}

fn answers_408_to_a_body_that_does_not_go_on(model: &Model) {
    let server = serve(model, "--idle-timeout", SHORT);
    let chunked = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe";
    for part in [format!("{BODY}half"), BODY.into(), chunked.into()] {
        let mut client = server.connect();
        let begin = Instant::now();
        client.send(part);
        assert_timed_out(client, begin);
    }
    server.assert_serves();
}

/// Between two requests nobody is owed an answer: the end comes as an end.
fn ends_an_idle_connection_without_a_word(model: &Model) {
    let server = serve(model, "--idle-timeout", SHORT);
    let mut client = server.connect();
    client.get("/");
    let begin = Instant::now();
    client.assert_ended();
    assert!(begin.elapsed() + TOLERANCE >= SHORT, "after {:?}", begin.elapsed());
    server.assert_serves();
}

fn ends_a_connection_that_never_says_anything(model: &Model) {
    let server = serve(model, "--idle-timeout", SHORT);
    let begin = Instant::now();
    server.connect().assert_ended();
    assert!(begin.elapsed() + TOLERANCE >= SHORT, "after {:?}", begin.elapsed());
    server.assert_serves();
}

/// Longer than the pauses, shorter than all of them together.
const IDLE: Duration = Duration::from_millis(600);

fn keeps_a_connection_that_keeps_asking(model: &Model) {
    let server = serve(model, "--idle-timeout", IDLE);
    let mut client = server.connect();
    for _ in 0..5 {
        thread::sleep(IDLE / 4);
        assert_eq!(client.get("/").status, 200);
    }
}

fn keeps_a_connection_whose_body_keeps_coming(model: &Model) {
    let server = serve(model, "--idle-timeout", IDLE);
    let mut client = server.connect();
    client.send(BODY);
    for _ in 0..8 {
        thread::sleep(IDLE / 6);
        client.send("x");
    }
    assert_eq!(client.answer().status, 405);
    assert_eq!(client.get("/").status, 200);
}

const LARGE: usize = 16 * 1024 * 1024;

fn reader(server: &Server) -> Client {
    let mut client = Client::connect_with_small_buffer(server.address, 64 * 1024);
    client.send(get(&format!("/bytes/{LARGE}")));
    assert_eq!(client.read_head(), LARGE);
    client
}

fn keeps_a_client_that_reads_slowly(model: &Model) {
    let expected = pattern(LARGE);
    let server = serve(model, "--idle-timeout", IDLE);
    let mut client = reader(&server);
    let begin = Instant::now();
    for piece in expected.chunks(LARGE / 200) {
        thread::sleep(IDLE / 150);
        assert!(client.read_exactly(piece.len()) == piece);
    }
    assert!(begin.elapsed() > IDLE);
}

fn cuts_clients_that_do_not_read_and_keeps_nothing_of_them(model: &Model) {
    // More than what a server may still be making for itself when it is measured, where so many are served at once.
    const CLIENTS: usize = 40;
    let server = Server::launch(model).pool(CLIENTS).arguments(["--idle-timeout", "200ms"]).start();
    server.assert_serves();
    server.await_pool();
    let before = Holdings::of(&server);
    let stuck: Vec<Client> = (0..model.at_once(CLIENTS)).map(|_| reader(&server)).collect();
    // They hold on to their side.
    before.await_return_of(&server);
    server.assert_serves();
    // What is left for them to read is what the kernel still has.
    for mut client in stuck.into_iter().take(4) {
        assert!(client.read_until_over() < LARGE, "a client was not cut that did not read");
    }
}

/// Takes the only worker, where there are such, and checks that it gets free long before an idle connection would.
#[track_caller]
fn assert_lets_go(model: &Model, mut go_on: impl FnMut(&mut Client)) {
    let server = Server::launch(model).pool(1).start();
    let mut refused = server.connect();
    assert_eq!(refused.ask("GARBAGE\r\n\r\n").status, 400);
    refused.assert_ended();
    let mut next = server.connect();
    next.send(get("/"));
    wait::until("the next client is served", || {
        go_on(&mut refused);
        next.has_answer()
    });
    assert_eq!(next.answer().status, 200);
    wait::until("the connection is gone", || {
        thread::sleep(PAUSE);
        // What meets a closed socket is answered with a reset, which the one after that meets.
        !refused.try_send("x")
    });
}

fn lets_a_refused_client_go_that_stays(model: &Model) {
    assert_lets_go(model, |_| {});
}

fn lets_a_refused_client_go_that_talks_on_slowly(model: &Model) {
    assert_lets_go(model, |refused| {
        thread::sleep(PAUSE);
        refused.try_send("x");
    });
}
