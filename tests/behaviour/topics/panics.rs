//! Handlers that panic: the request is answered with 500 and its connection ends; nothing else is
//! affected.

use super::{Behaviour, behaviours};
use crate::client::{Client, get};
use crate::model::Model;
use crate::server::{Server, WORKERS};

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    answers_500_to_a_panic_and_closes,
    loses_no_worker_to_panics;
    at_once:
    serves_others_after_a_handler_panics,
];

fn serve(model: &Model) -> Server {
    Server::launch(model).arguments(["--panic-endpoint"]).start()
}

#[track_caller]
fn assert_panics(mut client: Client) {
    let answer = client.get("/panic");
    assert_eq!(answer.status, 500);
    assert!(answer.closes());
    client.assert_ended();
}

fn answers_500_to_a_panic_and_closes(model: &Model) {
    let server = serve(model);
    assert_panics(server.connect());
    // The request before the panic is answered, the request after it is not.
    let mut client = server.connect();
    client.send([get("/bytes/3"), get("/panic"), get("/bytes/4")].concat());
    assert_eq!(client.answer().body.len(), 3);
    assert_eq!(client.answer().status, 500);
    client.assert_ended();
    server.assert_serves();
}

fn serves_others_after_a_handler_panics(model: &Model) {
    let server = serve(model);
    let mut others: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for _ in 0..5 {
        assert_panics(server.connect());
        for other in &mut others {
            assert_eq!(other.get("/").status, 200);
        }
    }
}

/// Causes more panics than there are workers, and checks that there are as many workers as before,
/// each with a client of its own.
fn loses_no_worker_to_panics(model: &Model) {
    let server = serve(model);
    for _ in 0..100 {
        assert_panics(server.connect());
    }
    let mut clients: Vec<Client> = (0..model.at_once(WORKERS)).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    // In models whose handlers have threads of their own, all of these threads are still there,
    // too.
    for client in &mut clients {
        client.send(get("/sleep/1000"));
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
}
