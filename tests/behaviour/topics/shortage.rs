//! Exhausted resources: connections beyond a limit wait or are refused, the others are still
//! served, and nothing spins.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::thread;

use c10k_servers::Execution;
use rustix::process::geteuid;

use super::{Behaviour, Outcome, behaviours};
use crate::client::{CLOSE, Client, get};
use crate::load::{Load, Tally};
use crate::model::Model;
use crate::processes::Process;
use crate::scarcity::{Limit, Scarcity, first_free_file};
use crate::server::{Launch, Server, WINDOW, WORKERS};
use crate::wait;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    lets_connections_beyond_the_maximum_wait,
    bounds_its_connections_by_its_open_files,
    survives_running_out_of_open_files,
    says_so_if_it_gets_no_processes_or_threads,
    survives_being_refused_processes_and_threads,
    recovers_from_a_shortage_of_open_files_under_load,
    recovers_from_a_shortage_of_processes_and_threads_under_load,
    survives_a_shortage_of_memory_for_threads,
    sheds_only_connections_for_whose_bytes_there_is_no_memory,
    takes_no_cpu_time_while_idle;
    at_once:
    survives_being_refused_threads_for_handlers,
];

/// User ID of an ordinary user without a name, so that only the processes of this test count.
const ORDINARY_USER: u32 = 57_123;

fn served_client(server: &Server) -> Client {
    let mut client = server.connect();
    assert_eq!(client.get("/").status, 200);
    client
}

fn lets_connections_beyond_the_maximum_wait(model: &Model) {
    // Several loops divide the maximum among them, and a client reaches one of them by chance.
    let server = Server::launch(model).one_queue().arguments(["--max-connections", "3"]).start();
    let mut inside: VecDeque<Client> =
        (0..model.at_once(3)).map(|_| served_client(&server)).collect();
    let mut waiting: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(get("/bytes/7"));
    }
    assert!(waiting[0].hears_nothing_for(WINDOW), "served beyond the maximum");
    server.assert_does_not_spin();
    for client in &mut inside {
        assert_eq!(client.get("/").status, 200);
    }
    // One client leaves and one is served, in the order in which they connected; no client fails.
    for mut client in waiting {
        drop(inside.pop_front());
        assert_eq!(client.answer().body.len(), 7);
        inside.push_back(client);
    }
}

fn bounds_its_connections_by_its_open_files(model: &Model) {
    // Some of the files are for the server itself, some for connections.
    let server = Server::launch(model).open_files(100).pool(200).start();
    let mut clients: Vec<Client> = (0..150).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(CLOSE);
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    server.assert_does_not_spin();
}

fn survives_running_out_of_open_files(model: &Model) -> Outcome {
    let server = Server::start(model);
    let mut established: Vec<Client> =
        (0..model.at_once(4)).map(|_| served_client(&server)).collect();
    let scarcity = match Scarcity::begin(&server, None, Limit::OpenFiles, first_free_file) {
        Ok(scarcity) => scarcity,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let shed: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for client in &mut established {
        assert_eq!(client.get("/bytes/100000").body.len(), 100_000);
    }
    server.assert_does_not_spin();
    scarcity.end();
    for client in &mut established {
        assert_eq!(client.get("/").status, 200);
    }
    drop(established);
    shed.into_iter().for_each(assert_is_served_or_told);
    let _more: Vec<Client> = (0..model.at_once(4)).map(|_| served_client(&server)).collect();
    Outcome::Shown
}

fn says_so_if_it_gets_no_processes_or_threads(model: &Model) -> Outcome {
    if model.begins_with_one_thread() {
        return Outcome::Skipped("begins with one thread".into());
    }
    let launch = as_ordinary_user(Server::launch(model).no_more_processes());
    let output = match launch.run_to_its_end() {
        Ok(output) => output,
        Err(error) => {
            return Outcome::Skipped(format!("cannot run a server as an ordinary user: {error}"));
        }
    };
    let said = String::from_utf8(output.stderr).expect("it speaks text");
    // If this user may not run the server, the shell that should have become the server says so.
    if matches!(output.status.code(), Some(126 | 127)) {
        return Outcome::Skipped(format!("cannot run a server as an ordinary user: {said}"));
    }
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.lines().count() == 1 && said.starts_with("c10k: "), "{said}");
    assert!(said.contains("ulimit -u"), "{said}");
    Outcome::Shown
}

/// A connection for which there is no process or thread is answered with 503; a model that needs
/// neither serves as usual.
fn survives_being_refused_processes_and_threads(model: &Model) -> Outcome {
    let (server, user) = match start_as_ordinary_user(Server::launch(model)) {
        Ok(started) => started,
        Err(reason) => return Outcome::Skipped(reason),
    };
    // One worker is left for the clients that connect later.
    let mut established: Vec<Client> =
        (1..model.at_once(5)).map(|_| served_client(&server)).collect();
    server.await_pool();
    server.await_rest();
    let scarcity = match Scarcity::begin(&server, user, Limit::Processes, |_| 0) {
        Ok(scarcity) => scarcity,
        Err(reason) => return Outcome::Skipped(reason),
    };
    for _ in 0..8 {
        let expected = if model.has_a_task_per_connection() { 503 } else { 200 };
        assert_eq!(server.connect().get("/").status, expected);
    }
    for client in &mut established {
        assert_eq!(client.get("/").status, 200);
    }
    server.assert_does_not_spin();
    scarcity.end();
    drop(established);
    let _more: Vec<Client> = (0..model.at_once(4)).map(|_| served_client(&server)).collect();
    Outcome::Shown
}

/// A handler that blocks and gets no new thread waits for an existing one, or its client is
/// answered with 503. Requests that need no such thread are served.
fn survives_being_refused_threads_for_handlers(model: &Model) -> Outcome {
    if !model.offloads_handlers() {
        return Outcome::Skipped("handlers run where their connections do".into());
    }
    let (server, user) = match start_as_ordinary_user(Server::launch(model).lacks_threads()) {
        Ok(started) => started,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let mut established: Vec<Client> = (0..4).map(|_| served_client(&server)).collect();
    server.await_rest();
    let scarcity = match Scarcity::begin(&server, user, Limit::Processes, |_| 0) {
        Ok(scarcity) => scarcity,
        Err(reason) => return Outcome::Skipped(reason),
    };
    for _ in 0..8 {
        assert!(matches!(server.connect().get("/sleep/1000").status, 200 | 503));
    }
    for client in &mut established {
        assert_eq!(client.get("/").status, 200);
    }
    server.assert_does_not_spin();
    scarcity.end();
    // As many clients at once as there are threads.
    let mut clients: Vec<Client> = (0..WORKERS).map(|_| served_client(&server)).collect();
    for client in &mut clients {
        client.send(get("/sleep/1000"));
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    Outcome::Shown
}

/// Makes a server of the superuser run as another user: no limit of processes applies to the
/// superuser.
fn as_ordinary_user(launch: Launch) -> Launch {
    if geteuid().is_root() { launch.user(ORDINARY_USER) } else { launch }
}

/// Starts a server as an ordinary user. Returns it, with the user if that is not the current one.
fn start_as_ordinary_user(launch: Launch) -> Result<(Server, Option<u32>), String> {
    let user = geteuid().is_root().then_some(ORDINARY_USER);
    let started = as_ordinary_user(launch).try_start();
    let server =
        started.map_err(|error| format!("cannot run a server as an ordinary user: {error}"))?;
    Ok((server, user))
}

/// Checks that during a shortage connected clients are served, and new clients are served, answered
/// with 503 or cut off, and that all clients are served again after it.
fn assert_recovers_under_load(
    model: &Model,
    server: &Server,
    begin: impl FnOnce() -> Result<Scarcity, String>,
) -> Outcome {
    const ENOUGH: usize = 20;
    let mut outcome = Outcome::Shown;
    server.await_pool();
    server.await_rest();
    Load::during(server, model.at_once(4) - 1, 2, |load| {
        let goes_on = |tally: &Tally| {
            let before = tally.served();
            wait::until("clients are served", || tally.served() >= before + ENOUGH);
        };
        let kept = if model.serves_several() { &load.persistent } else { &load.short };
        goes_on(kept);
        match begin() {
            Ok(scarcity) => {
                thread::sleep(WINDOW);
                if model.serves_several() {
                    goes_on(&load.persistent);
                }
                scarcity.end();
            }
            Err(reason) => outcome = Outcome::Skipped(reason),
        }
        goes_on(&load.short);
        load.begin_anew();
        goes_on(&load.short);
        assert_eq!(load.short.failed_anew(), 0, "clients fail after the shortage");
        assert_eq!(
            load.persistent.failed(),
            0,
            "the shortage has reached those who were connected"
        );
    });
    outcome
}

fn recovers_from_a_shortage_of_open_files_under_load(model: &Model) -> Outcome {
    let server = Server::start(model);
    assert_recovers_under_load(model, &server, || {
        Scarcity::begin(&server, None, Limit::OpenFiles, first_free_file)
    })
}

fn recovers_from_a_shortage_of_processes_and_threads_under_load(model: &Model) -> Outcome {
    match start_as_ordinary_user(Server::launch(model)) {
        Ok((server, user)) => assert_recovers_under_load(model, &server, || {
            Scarcity::begin(&server, user, Limit::Processes, |_| 0)
        }),
        Err(reason) => Outcome::Skipped(reason),
    }
}

/// Memory that is left to a server: more than the few bytes that a connection takes on the heap,
/// even if the heap has to grow, but less than a stack.
const SPARE_MEMORY: u64 = 192 * 1024;

/// In models that make a thread for each connection, its stack is by far the largest part of the
/// connection's memory.
fn survives_a_shortage_of_memory_for_threads(model: &Model) -> Outcome {
    if model.profile.execution != Execution::Thread || !model.has_a_task_per_connection() {
        return Outcome::Skipped("makes no threads for its connections".into());
    }
    let server = Server::start(model);
    // No client has left before: otherwise the stack of a thread that has ended would be used
    // again.
    let mut established: Vec<Client> = (0..4).map(|_| served_client(&server)).collect();
    let size = |process: &Process| process.address_space() + SPARE_MEMORY;
    let scarcity = match Scarcity::begin(&server, None, Limit::AddressSpace, size) {
        Ok(scarcity) => scarcity,
        Err(reason) => return Outcome::Skipped(reason),
    };
    for _ in 0..8 {
        assert_eq!(server.connect().get("/").status, 503);
    }
    for client in &mut established {
        assert_eq!(client.get("/bytes/100000").body.len(), 100_000);
    }
    server.assert_does_not_spin();
    scarcity.end();
    let _more: Vec<Client> = (0..4).map(|_| served_client(&server)).collect();
    for client in &mut established {
        assert_eq!(client.get("/").status, 200);
    }
    Outcome::Shown
}

/// The server holds the part of a head that has arrived. A loop on the first thread of a process
/// shows the shortage: the heaps of other threads reserve more address space than the test fills.
fn sheds_only_connections_for_whose_bytes_there_is_no_memory(model: &Model) -> Outcome {
    const CLIENTS: usize = 100;
    if model.profile.execution != Execution::EventLoop || !model.begins_with_one_thread() {
        return Outcome::Skipped("has several heaps".into());
    }
    let server = Server::start(model);
    let mut established: Vec<Client> = (0..4).map(|_| served_client(&server)).collect();
    let mut demanding: Vec<Client> = (0..CLIENTS).map(|_| served_client(&server)).collect();
    let size = |process: &Process| process.address_space() + SPARE_MEMORY;
    let scarcity = match Scarcity::begin(&server, None, Limit::AddressSpace, size) {
        Ok(scarcity) => scarcity,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let part_of_a_head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(12 * 1024));
    for client in &mut demanding {
        client.send(&part_of_a_head);
    }
    for client in &mut established {
        assert_eq!(client.get("/").status, 200);
    }
    server.assert_does_not_spin();
    // A connection that was shed is closed once its client has closed it, or sends no more.
    let shed = demanding.iter_mut().filter(|client| client.has_answer()).count();
    assert!((1..CLIENTS).contains(&shed), "{shed} of {CLIENTS} were shed");
    scarcity.end();
    for client in &mut demanding {
        let expected = if client.has_answer() { 503 } else { 200 };
        client.try_send("\r\n\r\n");
        assert_eq!(client.answer().status, expected);
    }
    for client in &mut established {
        assert_eq!(client.get("/").status, 200);
    }
    Outcome::Shown
}

fn takes_no_cpu_time_while_idle(model: &Model) {
    let server = Server::start(model);
    let _idle: Vec<Client> = (0..model.at_once(8)).map(|_| served_client(&server)).collect();
    let _silent: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    server.assert_does_not_spin();
}

/// Checks that a client that connected during a shortage does not wait for ever: it is served after
/// the shortage, answered with 503, or cut off.
#[track_caller]
fn assert_is_served_or_told(mut client: Client) {
    if !client.try_send(get("/")) {
        return;
    }
    match client.try_answer() {
        Ok(answer) => assert!(matches!(answer.status, 200 | 503), "{answer:?}"),
        Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "neither served nor told"),
    }
}
