//! Clients that leave in every way and at every time: the server continues to serve, and keeps no
//! resource of theirs.

use std::collections::HashSet;

use c10k_servers::Execution;

use super::{Behaviour, Outcome, behaviours};
use crate::client::{Client, get};
use crate::holdings::Holdings;
use crate::load::Load;
use crate::model::Model;
use crate::processes::Process;
use crate::server::{Server, WORKERS, assert_are_gone};
use crate::wait;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    survives_clients_that_leave_without_a_request,
    survives_clients_that_leave_in_the_middle_of_a_request,
    survives_clients_that_leave_in_the_middle_of_a_response,
    survives_clients_that_leave_before_their_response_is_ready,
    leaves_no_zombie_of_connections_that_have_ended,
    survives_the_death_of_its_children,
    takes_its_children_along_when_it_is_killed,
    loses_no_more_than_the_connection_of_a_killed_worker,
];

/// Number of clients of each kind; enough that a leak is noticed.
const CLIENTS: usize = 20;

/// Lets `CLIENTS` clients do something before they leave, each once with an orderly close and once
/// with a reset. Checks that the server continues to serve, and soon holds no more than it held for
/// a single client.
#[track_caller]
fn assert_survives(model: &Model, before_leaving: impl Fn(&mut Client)) {
    let server = Server::start(model);
    let with_one_client = {
        let mut client = server.connect();
        client.get("/");
        Holdings::of(&server)
    };
    for _ in 0..CLIENTS {
        let mut client = server.connect();
        before_leaving(&mut client);
        drop(client);
        let mut client = server.connect();
        before_leaving(&mut client);
        client.reset();
    }
    server.assert_serves();
    // There is no further traffic: the server must not need the next client to notice that others
    // have left.
    with_one_client.await_return_of(&server);
}

fn survives_clients_that_leave_without_a_request(model: &Model) {
    assert_survives(model, |_| {});
    assert_survives(model, |client| {
        client.get("/");
    });
}

fn survives_clients_that_leave_in_the_middle_of_a_request(model: &Model) {
    for part in [
        "G",
        "GET / HTTP/1.1\r\nHost: local",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    ] {
        assert_survives(model, |client| client.send(part));
    }
}

fn survives_clients_that_leave_in_the_middle_of_a_response(model: &Model) {
    assert_survives(model, |client| {
        client.send(get("/bytes/10485760"));
        client.read_exactly(1000);
    });
}

fn survives_clients_that_leave_before_their_response_is_ready(model: &Model) {
    assert_survives(model, |client| client.send(get("/sleep/1000").repeat(3)));
    assert_survives(model, |client| client.send(get("/wait/1000").repeat(3)));
    assert_survives(model, |client| {
        client.send(get("/bytes/10485760").repeat(3));
        client.shut_sending();
    });
}

fn leaves_no_zombie_of_connections_that_have_ended(model: &Model) {
    let server = Server::start(model);
    for _ in 0..100 {
        server.assert_serves();
    }
    wait::until("no zombie is left", || server.zombies() == 0);
}

/// A child that is killed, for example by the kernel when memory runs out, costs only the
/// connections of that child.
fn survives_the_death_of_its_children(model: &Model) {
    let server = Server::start(model);
    let mut clients: Vec<Client> = (0..model.at_once(4)).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.get("/");
    }
    let children = server.children();
    for child in &children {
        child.kill();
    }
    assert_are_gone(&children);
    for client in &mut clients {
        let goes_on = client.try_send(get("/")) && client.try_answer().is_ok();
        assert!(goes_on || !children.is_empty(), "a connection of no child was lost");
    }
    drop(clients);
    server.assert_serves();
}

/// Kills each worker of a pool in turn, or as many children as a pool has, while clients send
/// requests. A worker has one client at a time, so each kill may cost one request.
fn loses_no_more_than_the_connection_of_a_killed_worker(model: &Model) -> Outcome {
    if !matches!(model.profile.execution, Execution::Process | Execution::ProcessPool) {
        return Outcome::Skipped("has no worker processes".into());
    }
    let server = Server::start(model);
    server.await_pool();
    let mut killed: HashSet<i32> = HashSet::new();
    Load::during(&server, 4, 4, |load| {
        while killed.len() < WORKERS {
            let is_next = |child: &Process| !child.is_zombie && !killed.contains(&child.pid);
            let Some(child) = server.children().into_iter().find(is_next) else { continue };
            let before = load.short.served();
            child.kill();
            killed.insert(child.pid);
            wait::until("clients are served", || load.short.served() > before + 4);
            server.await_pool();
        }
        let lost = load.persistent.failed() + load.short.failed();
        assert!(lost <= killed.len(), "{lost} requests were lost");
    });
    wait::until("no zombie is left", || server.zombies() == 0);
    server.await_pool();
    server.assert_serves();
    Outcome::Shown
}

/// No child may stay on the server's port: it would get some of the next server's clients.
fn takes_its_children_along_when_it_is_killed(model: &Model) {
    let mut server = Server::start(model);
    let mut client = server.connect();
    client.get("/");
    let children = server.children();
    server.process().kill();
    wait::until("it has ended", || !server.is_running());
    // The process that adopts the children may be slow to reap them.
    let has_ended = |child: &Process| Process::find(child.pid).is_none_or(|now| now.is_zombie);
    wait::until("its children have ended", || children.iter().all(has_ended));
}
