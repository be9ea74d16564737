//! Handlers that wait for something, as for a database: they block only the thread on which the
//! model runs the wait.

use std::time::{Duration, Instant};

use c10k_servers::ConnectionLimit;
use c10k_servers::site::mix::{Kind, Mix};

use super::{Behaviour, behaviours};
use crate::client::{CLOSE, Client, get};
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    waits_as_long_as_it_is_asked_to,
    answers_in_order_around_a_wait,
    does_not_spin_in_a_wait_while_its_client_keeps_sending,
    delays_other_clients_by_a_waiting_handler_only_if_it_holds_their_thread,
    ends_after_a_wait_that_is_under_way,
    draws_the_same_mix_as_every_other_model;
    at_once:
    waits_for_many_at_once,
];

/// Time that the server gets to start the handler.
const HEAD_START: Duration = Duration::from_millis(150);

const CLIENTS: usize = 20;

fn waits_as_long_as_it_is_asked_to(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    for time in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(30)] {
        let begin = Instant::now();
        assert_eq!(client.get(&format!("/wait/{}", time.as_micros())).status, 200);
        assert!(begin.elapsed() >= time, "{:?} in place of {time:?}", begin.elapsed());
    }
}

fn answers_in_order_around_a_wait(model: &Model) {
    let server = Server::start(model);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send(["/bytes/10", "/wait/20000", "/wait/20000", "/bytes/30"].map(get).concat());
    assert_eq!(client.answer().body.len(), 10);
    assert_eq!((client.answer().status, client.answer().status), (200, 200));
    assert!(begin.elapsed() >= Duration::from_millis(40), "{:?}", begin.elapsed());
    assert_eq!(client.answer().body.len(), 30);
    assert_eq!(client.get("/bytes/40").body.len(), 40);
}

/// The bytes that a client sends meanwhile, or its end, make the socket readable. A loop must not
/// be woken for them over and over.
fn does_not_spin_in_a_wait_while_its_client_keeps_sending(model: &Model) {
    let server = Server::start(model);
    let mut clients: Vec<Client> = (0..model.at_once(3)).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(get("/wait/1200000"));
        assert!(client.hears_nothing_for(HEAD_START), "the handler does not wait");
        client.send(get("/bytes/10"));
    }
    if let Some(second) = clients.get(1) {
        second.shut_sending();
    }
    if clients.len() == 3 {
        clients.pop().expect("there are three").reset();
    }
    if !model.spins() {
        server.assert_does_not_spin();
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
        assert_eq!(client.answer().body.len(), 10);
    }
}

/// With a single worker, a request that arrives while a handler waits is answered after that
/// handler only if the handler has the thread or process that the request needs.
fn delays_other_clients_by_a_waiting_handler_only_if_it_holds_their_thread(model: &Model) {
    let keeps =
        matches!(model.profile.connection_limit, ConnectionLimit::One | ConnectionLimit::Workers);
    // Of the threads for handlers, one waits and one is left.
    let server = Server::launch(model).workers(1).handler_threads(2).start();
    let mut waiting = server.connect();
    // If the other request is delayed, it waits for the whole time, so the time is short. If it is
    // not delayed, the time is long, so that its response clearly comes before the end.
    let wait = if keeps { "/wait/400000 " } else { "/wait/2000000 " };
    // The connection ends with its response, so that a worker that has one connection at a time is
    // free for the other client.
    waiting.send(CLOSE.replace("/ ", wait));
    assert!(waiting.hears_nothing_for(HEAD_START), "the handler does not wait");
    let mut other = server.connect();
    other.send(get("/"));
    assert_eq!(other.answer().status, 200);
    assert_eq!(
        waiting.has_answer(),
        keeps,
        "whether the handler has delayed somebody else's request"
    );
    assert_eq!(waiting.answer().status, 200);
}

/// One after the other, the handlers would take `CLIENTS` times as long.
fn waits_for_many_at_once(model: &Model) {
    let server = Server::launch(model).pool(CLIENTS).handler_threads(CLIENTS).start();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    let begin = Instant::now();
    let wait = Duration::from_millis(400);
    for client in &mut clients {
        client.send(get("/wait/400000"));
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    let time = begin.elapsed();
    assert!(time >= wait && time < wait * CLIENTS as u32, "{time:?}");
}

fn ends_after_a_wait_that_is_under_way(model: &Model) {
    let mut server = Server::start(model);
    let mut client = server.connect();
    client.send(get("/wait/500000"));
    assert!(client.hears_nothing_for(HEAD_START), "the handler does not wait");
    server.stop();
    assert_eq!(client.answer().status, 200);
    client.assert_ended();
}

/// The mix does not depend on the process or thread that answers.
fn draws_the_same_mix_as_every_other_model(model: &Model) {
    const QUERY: &str = "wait=30:1000&spin=20:100&seed=7";
    let (server, mix) =
        (Server::start(model), Mix::parse(QUERY.as_bytes()).expect("it says what to draw"));
    for number in 0..40 {
        let answer = server.connect().get(&format!("/mixed?{QUERY}"));
        let expected = match mix.draw(number).kind {
            Kind::Cheap => "cheap",
            Kind::Wait => "wait",
            Kind::Spin => "spin",
        };
        assert_eq!(
            (answer.status, answer.header("server-timing")),
            (200, Some(expected)),
            "request {number}"
        );
    }
    assert_eq!(server.connect().get("/mixed?wait=much").status, 404);
}
