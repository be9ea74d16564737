//! Many clients at once.

use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::{Resource, getrlimit};

use super::{Behaviour, Outcome, behaviours};
use crate::client::{CLOSE, Client, get};
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    serves_64_clients,
    serves_more_clients_than_it_has_workers,
    takes_a_burst_of_connections_into_its_backlog;
    at_once:
    serves_a_thousand_persistent_connections_at_once,
];

fn serves_a_thousand_persistent_connections_at_once(model: &Model) -> Outcome {
    const CONNECTIONS: usize = 1000;
    // One crowd at a time: all models together would take more descriptors and memory than most machines give.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if getrlimit(Resource::Nofile).maximum.is_some_and(|limit| limit < 1500) {
        return Outcome::Skipped("needs a hard limit of open files of 1500, see `ulimit -Hn`".into());
    }
    let server = Server::launch(model).pool(CONNECTIONS).start();
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    for _ in 0..3 {
        // All ask before the first answer is read, so that all are served at once and not one after the other.
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

fn serves_64_clients(model: &Model) {
    const CLIENTS: usize = 64;
    let server = Server::launch(model).pool(CLIENTS).start();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                for i in 0..50 {
                    // Lengths that differ, so that an answer to somebody else shows.
                    let length = number * 50 + i;
                    assert_eq!(client.get(&format!("/bytes/{length}")).body.len(), length);
                }
            });
        }
    });
}

fn serves_more_clients_than_it_has_workers(model: &Model) {
    let server = Server::launch(model).workers(1).start();
    let mut clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(CLOSE);
    }
    // In another order than they came.
    for client in clients.iter_mut().rev() {
        assert_eq!(client.answer().status, 200);
        client.assert_ended();
    }
}

fn takes_a_burst_of_connections_into_its_backlog(model: &Model) {
    let server = Server::start(model);
    // While the handler runs, a model with one thread accepts nobody.
    let mut busy = server.connect();
    busy.send(CLOSE.replace("/ ", "/sleep/100000 "));
    let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(CLOSE).status, 200);
    }
    assert_eq!(busy.answer().status, 200);
}
