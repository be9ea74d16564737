//! Many clients at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use c10k_servers::ConnectionLimit;

use super::{Behaviour, Outcome, behaviours};
use crate::client::{CLOSE, Client, get};
use crate::holdings::Holdings;
use crate::machine::check_capacity;
use crate::model::Model;
use crate::server::{Server, WORKERS};
use crate::wait;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    serves_64_clients,
    serves_more_clients_than_it_has_workers,
    takes_a_burst_of_connections_into_its_backlog,
    serves_100_of_9000_connections,
    lets_clients_beyond_its_capacity_wait;
    at_once:
    serves_a_thousand_persistent_connections_at_once,
];

fn serves_a_thousand_persistent_connections_at_once(model: &Model) -> Outcome {
    const CONNECTIONS: usize = 1000;
    let _turn = take_turn();
    if let Err(reason) = check_capacity(model, CONNECTIONS) {
        return Outcome::Skipped(reason);
    }
    let server = Server::launch(model).pool(CONNECTIONS).start();
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    for _ in 0..3 {
        // All clients send before the first response is read, so that they are served at once and
        // not one after the other.
        for client in &mut clients {
            client.send(get("/"));
        }
        for client in &mut clients {
            let answer = client.answer();
            assert_eq!((answer.status, answer.body.len()), (200, 1024));
        }
    }
    Outcome::Shown
}

/// Lets one crowd run at a time: the crowds of all models together would take more descriptors and
/// memory than most machines give.
fn take_turn() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Typical traffic of 9000 clients: a hundred of them send requests, the others are only connected.
fn serves_100_of_9000_connections(model: &Model) -> Outcome {
    const CONNECTIONS: usize = 9000;
    const ACTIVE: usize = 100;
    if model.profile.connection_limit != ConnectionLimit::OpenFiles {
        return Outcome::Skipped(
            "holds fewer at once, see lets_clients_beyond_its_capacity_wait".into(),
        );
    }
    let _turn = take_turn();
    if let Err(reason) = check_capacity(model, CONNECTIONS) {
        return Outcome::Skipped(reason);
    }
    let server = Server::start(model);
    server.assert_serves();
    let before = Holdings::of(&server);
    let mut idle: Vec<Client> = (ACTIVE..CONNECTIONS).map(|_| server.connect()).collect();
    // The active clients connect last, so that all other connections have been accepted when these
    // are served.
    let mut active: Vec<Client> = (0..ACTIVE).map(|_| server.connect()).collect();
    for _ in 0..10 {
        ask_all(&mut active);
    }
    ask_all(idle.iter_mut().step_by(CONNECTIONS / ACTIVE));
    drop((idle, active));
    before.await_return_of(&server);
    server.assert_serves();
    Outcome::Shown
}

/// Sends all requests before the first response is read.
#[track_caller]
fn ask_all<'a>(clients: impl IntoIterator<Item = &'a mut Client>) {
    let mut clients: Vec<&mut Client> = clients.into_iter().collect();
    for client in &mut clients {
        client.send(get("/"));
    }
    for client in &mut clients {
        assert_eq!(client.answer().body.len(), 1024);
    }
}

/// Clients that connect while the pool or the `select` set is full are neither refused nor
/// forgotten, and are served in the end.
fn lets_clients_beyond_its_capacity_wait(model: &Model) -> Outcome {
    let holds_about = match model.profile.connection_limit {
        ConnectionLimit::OpenFiles => {
            return Outcome::Skipped(
                "holds all, see lets_connections_beyond_the_maximum_wait".into(),
            );
        }
        ConnectionLimit::One => 1,
        ConnectionLimit::Workers => WORKERS,
        ConnectionLimit::SelectableFiles => 1024,
    };
    let _turn = take_turn();
    if let Err(reason) = check_capacity(model, holds_about) {
        return Outcome::Skipped(reason);
    }
    let server = Server::start(model);
    // Few enough for the backlog of the smallest machine.
    let mut clients: Vec<Client> = (0..holds_about + 100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(get("/"));
    }
    let mut rounds = 0;
    while !clients.is_empty() {
        wait::until("somebody is served", || clients.iter().any(Client::has_answer));
        if rounds == 0 {
            // All clients that can be served before any client leaves.
            server.assert_does_not_spin();
            let answered = clients.iter().filter(|client| client.has_answer()).count();
            assert!(answered <= holds_about, "{answered} are served at once");
        }
        rounds += 1;
        clients.retain_mut(|client| {
            let is_served = client.has_answer();
            if is_served {
                assert_eq!(client.answer().status, 200);
            }
            !is_served
        });
    }
    Outcome::Shown
}

fn serves_64_clients(model: &Model) {
    const CLIENTS: usize = 64;
    // The last client waits for all others where clients are served one after the other.
    let requests = if model.serves_several() { 50 } else { 5 };
    let server = Server::launch(model).pool(CLIENTS).start();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                for i in 0..requests {
                    // Different lengths, so that a response to another client is noticed.
                    let length = number * 50 + i;
                    assert_eq!(client.get(&format!("/bytes/{length}")).body.len(), length);
                }
            });
        }
    });
}

fn serves_more_clients_than_it_has_workers(model: &Model) {
    let server = Server::launch(model).workers(1).handler_threads(1).start();
    let mut clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(CLOSE);
    }
    // The requests are answered in the reverse of their order.
    for client in clients.iter_mut().rev() {
        assert_eq!(client.answer().status, 200);
        client.assert_ended();
    }
}

fn takes_a_burst_of_connections_into_its_backlog(model: &Model) {
    let server = Server::start(model);
    // While the handler runs, a model with one thread accepts no connection.
    let mut busy = server.connect();
    busy.send(CLOSE.replace("/ ", "/sleep/100000 "));
    let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(CLOSE).status, 200);
    }
    assert_eq!(busy.answer().status, 200);
}
