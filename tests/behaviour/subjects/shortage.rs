//! Exhausted resources: connections beyond a limit wait or are refused, the others are still
//! served, and nothing spins.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::thread;

use rustix::process::geteuid;

use super::{Behaviour, Outcome, behaviours};
use crate::client::{Answer, CLOSE, Client, get, pattern};
use crate::load::{Load, Tally};
use crate::model::{Model, Runs};
use crate::processes::Process;
use crate::scarcity::{Limit, Scarcity, first_free_file};
use crate::server::{Launch, Server, WINDOW, WORKERS};
use crate::wait;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    lets_connections_beyond_the_maximum_wait,
    bounds_its_connections_by_its_open_files,
    survives_running_out_of_open_files,
    says_so_if_it_can_have_no_processes_and_threads,
    survives_being_refused_processes_and_threads,
    recovers_from_a_shortage_of_open_files_under_load,
    recovers_from_a_shortage_of_processes_and_threads_under_load,
    survives_a_shortage_of_memory_for_threads,
    takes_no_cpu_time_while_nobody_asks;
    at_once:
    sheds_connections_that_it_has_no_memory_for,
    takes_memory_back_from_those_who_take_too_long,
    survives_being_refused_threads_for_handlers,
];

/// Receive buffer of a client that does not read. It is small, so that responses soon stay in the
/// server.
const SMALL_BUFFER_BYTES: usize = 64 * 1024;

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
    let mut inside: VecDeque<Client> = (0..model.at_once(3)).map(|_| served_client(&server)).collect();
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
    let mut established: Vec<Client> = (0..model.at_once(4)).map(|_| served_client(&server)).collect();
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

fn says_so_if_it_can_have_no_processes_and_threads(model: &Model) -> Outcome {
    if model.begins_with_one_thread() {
        return Outcome::Skipped("begins with one thread".into());
    }
    let launch = as_ordinary_user(Server::launch(model).no_more_processes());
    let output = match launch.run_to_its_end() {
        Ok(output) => output,
        Err(error) => return Outcome::Skipped(format!("cannot run a server as an ordinary user: {error}")),
    };
    let said = String::from_utf8(output.stderr).expect("it speaks text");
    // Where this user may not run the server, the shell that was to become the server says so.
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
    // One place is left for the clients that connect later.
    let mut established: Vec<Client> = (1..model.at_once(5)).map(|_| served_client(&server)).collect();
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
    if !model.offloads_handlers {
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
    let server = started.map_err(|error| format!("cannot run a server as an ordinary user: {error}"))?;
    Ok((server, user))
}

/// Checks that during a shortage connected clients are served and new clients are served, answered
/// with 503 or cut, and that all clients are served again after it.
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
        assert_eq!(load.persistent.failed(), 0, "the shortage has reached those who were connected");
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
    if model.runs != Runs::Thread || !model.has_a_task_per_connection() {
        return Outcome::Skipped("makes no threads for its connections".into());
    }
    let server = Server::start(model);
    // No client has left before: the stack of a thread that has ended would be used again.
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

/// Memory that is left to a server for its connections, beside its reserve; a fraction of what the
/// clients then make it hold.
const SPARE_HEAP: u64 = 512 * 1024;

/// Number of clients that begin a request and don't finish it, and the bytes that each of them
/// makes the server hold.
const TALKERS: usize = 100;
const HALF_A_HEAD_BYTES: usize = 15_000;

/// Number of clients that is enough to use up what a server keeps in store for its connections, for
/// example stacks, before its memory is used up.
const MANY_TALKERS: usize = 300;
const LARGE_SPARE_HEAP: u64 = 4 * 1024 * 1024;

/// Number of clients that send many requests and read nothing, bytes of each response, and number
/// of requests of each client. All responses together are more than the kernel buffers.
const ASKERS: usize = 4;
const ASKED_BYTES: usize = 16_000;
const ASKED_AT_ONCE: usize = 300;

/// Number of requests, enough that each of a few threads has served some.
const WARM_UP: usize = 64;

/// Clients make the server hold much more than it has memory for. Some of them are shed, clients
/// that were connected before are served, and when the greedy clients are gone others are served,
/// even with no more memory than before.
fn sheds_connections_that_it_has_no_memory_for(model: &Model) -> Outcome {
    if let Some(reason) = can_not_hold_much(model) {
        return Outcome::Skipped(reason.into());
    }
    // The timeout is long: a client that is slow here is slow because the machine is busy.
    let launch = Server::launch(model).arguments(["--head-timeout", "60s"]);
    let server = launch.pool(2 * (TALKERS + ASKERS)).one_heap().start();
    // These requests make everything that the server makes at the first use.
    (0..WARM_UP).for_each(|_| server.assert_serves());
    server.await_pool();
    server.await_rest();
    let mut established: Vec<Client> = (0..4).map(|_| served_client(&server)).collect();
    let size = |process: &Process| process.address_space() + SPARE_HEAP;
    let scarcity = match Scarcity::begin(&server, None, Limit::AddressSpace, size) {
        Ok(scarcity) => scarcity,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let (askers, talkers) = (greedy_askers(&server), greedy_talkers(&server, TALKERS));
    wait::until("somebody is shed", || talkers.iter().any(Client::has_news));
    for client in &mut established {
        assert_eq!(client.get("/bytes/10000").body.len(), 10_000);
        assert_eq!(client.get("/bytes/100000").body.len(), 100_000);
    }
    (0..8).map(|_| server.connect()).for_each(assert_is_served_or_told);
    server.assert_does_not_spin();
    askers.into_iter().for_each(assert_is_answered_as_far_as_possible);
    for mut client in talkers {
        client.try_send("\r\n\r\n");
        assert_ends_well(client.try_answer());
    }
    wait::until("others are served", || is_served(server.connect()));
    scarcity.end();
    let _more: Vec<Client> = (0..4).map(|_| served_client(&server)).collect();
    for client in &mut established {
        assert_eq!(client.get("/").status, 200);
    }
    Outcome::Shown
}

/// Clients that hold all the memory are closed when their timeout is over, although closing them
/// takes some memory.
fn takes_memory_back_from_those_who_take_too_long(model: &Model) -> Outcome {
    if let Some(reason) = can_not_hold_much(model) {
        return Outcome::Skipped(reason.into());
    }
    let launch = Server::launch(model).arguments(["--head-timeout", "1s"]);
    let server = launch.pool(MANY_TALKERS + WORKERS).one_heap().lacks_threads().start();
    (0..WARM_UP).for_each(|_| server.assert_serves());
    server.await_pool();
    server.await_rest();
    let size = |process: &Process| process.address_space() + LARGE_SPARE_HEAP;
    let scarcity = match Scarcity::begin(&server, None, Limit::AddressSpace, size) {
        Ok(scarcity) => scarcity,
        Err(reason) => return Outcome::Skipped(reason),
    };
    let talkers = greedy_talkers(&server, MANY_TALKERS);
    wait::until("somebody is shed", || talkers.iter().any(Client::has_news));
    // The talkers stay connected.
    wait::until("everybody else is told", || talkers.iter().all(Client::has_news));
    wait::until("others are served", || is_served(server.connect()));
    drop(talkers);
    scarcity.end();
    server.assert_serves();
    Outcome::Shown
}

/// Returns the reason why clients can't make the server hold more memory than it has, if there is
/// one.
fn can_not_hold_much(model: &Model) -> Option<&'static str> {
    match model.runs {
        Runs::Process | Runs::ProcessPool => {
            Some("connections have processes of their own, and none needs much")
        }
        Runs::Thread => Some("threads need more memory than what they hold"),
        Runs::ThreadPool | Runs::Loop => None,
    }
}

fn greedy_talkers(server: &Server, count: usize) -> Vec<Client> {
    let half_a_head = format!("GET / HTTP/1.1\r\nHost: a\r\nFiller: {}", "a".repeat(HALF_A_HEAD_BYTES));
    let greedy = |_| {
        let mut client = server.connect();
        client.try_send(&half_a_head);
        client
    };
    (0..count).map(greedy).collect()
}

fn greedy_askers(server: &Server) -> Vec<Client> {
    let requests = get(&format!("/bytes/{ASKED_BYTES}")).repeat(ASKED_AT_ONCE);
    let greedy = |_| {
        let mut client = Client::connect_with_small_buffer(server.address, SMALL_BUFFER_BYTES);
        client.try_send(&requests);
        client
    };
    (0..ASKERS).map(greedy).collect()
}

/// Reads all responses up to a 503, or up to the end of the connection.
#[track_caller]
fn assert_is_answered_as_far_as_possible(mut client: Client) {
    let expected = pattern(ASKED_BYTES);
    for _ in 0..ASKED_AT_ONCE {
        match client.try_answer() {
            Ok(answer) if answer.status == 200 => assert!(answer.body == expected),
            other => return assert_ends_well(other),
        }
    }
}

#[track_caller]
fn assert_ends_well(answer: io::Result<Answer>) {
    match answer {
        Ok(answer) => assert!(matches!(answer.status, 200 | 503), "{answer:?}"),
        Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "neither served nor told"),
    }
}

fn is_served(mut client: Client) -> bool {
    client.try_send(CLOSE) && client.try_answer().is_ok_and(|answer| answer.status == 200)
}

fn takes_no_cpu_time_while_nobody_asks(model: &Model) {
    let server = Server::start(model);
    let _idle: Vec<Client> = (0..model.at_once(8)).map(|_| served_client(&server)).collect();
    let _silent: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    server.assert_does_not_spin();
}

/// Checks that a client that connected during a shortage does not wait for ever: it is served after
/// the shortage, answered with 503, or cut.
#[track_caller]
fn assert_is_served_or_told(mut client: Client) {
    if client.try_send(get("/")) {
        assert_ends_well(client.try_answer());
    }
}
