//! The end of a server: quick when it is idle, patient with requests in flight, and without
//! anything left behind.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;

use super::{Behaviour, Outcome, behaviours};
use crate::client::{CLOSE, Client, get, pattern};
use crate::model::Model;
use crate::server::{Launch, Server, assert_are_gone};
use crate::wait;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    cuts_off_a_client_that_does_not_read_after_the_drain_time,
    ends_in_time_although_a_handler_still_sleeps,
    ends_at_sigterm_while_idle,
    ends_at_sigint_too,
    ends_at_ctrl_c_in_its_terminal,
    ends_promptly_while_clients_arrive,
    closes_idle_connections_at_sigterm,
    serves_clients_that_wait_for_capacity_at_sigterm,
    closes_a_refused_connection_at_sigterm,
    finishes_the_request_in_flight_at_sigterm,
    takes_an_upload_under_way_to_its_end_at_sigterm,
    finishes_a_download_at_sigterm,
    ends_once_at_repeated_signals,
    starts_again_on_its_port_while_connections_are_in_time_wait,
    needs_so_reuseaddr_to_start_again_while_connections_are_in_time_wait,
    refuses_a_busy_port_with_one_line_and_status_2;
    at_once:
    takes_no_new_client_after_sigterm,
];

/// Time that requests in flight may take after the signal, as the design fixes it.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Longest time that a server may take to end when no request is in flight: well below the drain
/// time, and long even for a busy machine.
const PROMPT: Duration = Duration::from_secs(4);

/// Longest time that a server may take to end when it has to cut off a connection: it must not
/// continue for a minute, or for ever. Machines that stood still for five seconds were seen.
const BY_FAR: Duration = Duration::from_secs(30);

/// Bytes of the largest response that a server offers.
const LARGE: usize = 16 * 1024 * 1024;

/// Receive buffer of a client, in bytes; as much as any system allows, since a busy machine may be
/// slow to wake the client.
const RECEIVE_BYTES: usize = 200 * 1024;

/// Returns the number of bytes that a client leaves unread: more than the kernel's buffers hold, so
/// that the server is still writing, but not much more, since the rest has to arrive within the
/// drain time, even on a busy machine.
fn rest_of_download() -> usize {
    let sizes = fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").unwrap_or_default();
    let largest = sizes.split_whitespace().nth(2).and_then(|size| size.parse().ok());
    (largest.unwrap_or(4 * 1024 * 1024) + 8 * RECEIVE_BYTES).min(LARGE)
}

#[track_caller]
fn assert_ends_promptly(server: &mut Server) {
    let time = server.stop();
    assert!(time < PROMPT, "it took {time:?}");
    assert!(server.port_is_closed());
}

/// Connects a client that is in the middle of a large response and reads the rest only when told
/// to.
fn downloading_client(server: &Server) -> Client {
    let mut client = Client::connect_with_small_buffer(server.address, RECEIVE_BYTES);
    client.send(get(&format!("/bytes/{LARGE}")));
    assert_eq!(client.read_head(), LARGE);
    client.read_exactly(LARGE - rest_of_download());
    client
}

#[track_caller]
fn assert_finishes(client: &mut Client) {
    let rest = client.read_exactly(rest_of_download());
    assert!(pattern(LARGE).ends_with(&rest));
}

fn cuts_off_a_client_that_does_not_read_after_the_drain_time(model: &Model) {
    let mut server = Server::start(model);
    let _stuck = downloading_client(&server);
    let mut half = server.connect();
    half.send("GET / HTTP/1.1\r\nHost: local");
    let time = server.stop();
    assert!(time + Duration::from_secs(1) > DRAIN_TIME, "it was cut after {time:?}");
    assert!(time < BY_FAR, "it took {time:?}");
}

fn ends_in_time_although_a_handler_still_sleeps(model: &Model) {
    let mut server = Server::start(model);
    let mut client = server.connect();
    // The handler sleeps for a minute.
    client.send(get("/sleep/60000000"));
    // The request has been taken, since another one is answered or queued behind it.
    server.connect().hears_nothing_for(Duration::from_millis(50));
    let time = server.stop();
    assert!(time < BY_FAR, "it took {time:?}");
}

fn ends_at_sigterm_while_idle(model: &Model) {
    let mut server = Server::start(model);
    assert_ends_promptly(&mut server);
    let mut server = Server::start(model);
    server.assert_serves();
    assert_ends_promptly(&mut server);
}

/// Checks that `signal` ends a server with an idle client, and a server with a client in the middle
/// of a response.
#[track_caller]
fn assert_ends_at(launch: &Launch, signal: impl Fn(&Server)) {
    for is_downloading in [false, true] {
        let mut server = launch.clone().start();
        let mut client =
            if is_downloading { downloading_client(&server) } else { server.connect() };
        if !is_downloading {
            client.get("/");
        }
        let children = server.children();
        signal(&server);
        if is_downloading {
            assert_finishes(&mut client);
        }
        client.assert_ended();
        assert!(server.await_clean_end() < PROMPT);
        assert_are_gone(&children);
    }
}

fn ends_at_sigint_too(model: &Model) {
    assert_ends_at(&Server::launch(model), |server| server.signal(Signal::INT));
}

/// A terminal sends the signal to the children too.
fn ends_at_ctrl_c_in_its_terminal(model: &Model) {
    assert_ends_at(&Server::launch(model).own_group(), |server| server.signal_group(Signal::INT));
}

/// A signal may come at any moment in the life of a connection, including its start.
fn ends_promptly_while_clients_arrive(model: &Model) {
    for _ in 0..10 {
        let mut server = Server::start(model);
        let _clients: Vec<Client> = (0..5).map(|_| server.connect()).collect();
        assert_ends_promptly(&mut server);
    }
}

fn closes_idle_connections_at_sigterm(model: &Model) {
    let mut server = Server::start(model);
    let mut idle: Vec<Client> = (0..model.at_once(4)).map(|_| server.connect()).collect();
    for client in &mut idle {
        client.get("/");
    }
    let mut silent: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    assert_ends_promptly(&mut server);
    idle.iter_mut().for_each(Client::assert_ended);
    silent.iter_mut().for_each(Client::assert_is_over);
}

/// An acceptor that waits for the end of a connection sees the signal too.
fn serves_clients_that_wait_for_capacity_at_sigterm(model: &Model) {
    let mut server =
        Server::launch(model).one_queue().arguments(["--max-connections", "2"]).start();
    let mut inside: Vec<Client> = (0..model.at_once(2)).map(|_| server.connect()).collect();
    for client in &mut inside {
        assert_eq!(client.get("/").status, 200);
    }
    let mut waiting: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(get("/bytes/7"));
    }
    assert_ends_promptly(&mut server);
    inside.iter_mut().for_each(Client::assert_ended);
    for client in &mut waiting {
        assert_eq!(client.answer().body.len(), 7);
    }
}

/// A refused client that stays connected does not delay the end.
fn closes_a_refused_connection_at_sigterm(model: &Model) {
    let mut server = Server::start(model);
    let mut refused = server.connect();
    assert_eq!(refused.ask("GARBAGE\r\n\r\n").status, 400);
    refused.assert_ended();
    assert_ends_promptly(&mut server);
}

fn takes_an_upload_under_way_to_its_end_at_sigterm(model: &Model) {
    let mut server = Server::start(model);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\n");
    let children = server.children();
    server.signal(Signal::TERM);
    for _ in 0..4 {
        // All pauses together are longer than the server waits for anything but an upload.
        assert!(client.hears_nothing_for(Duration::from_millis(100)));
        client.send("0123456789");
    }
    let answer = client.answer();
    assert_eq!(answer.status, 405);
    assert!(answer.closes());
    server.await_clean_end();
    assert_are_gone(&children);
}

fn finishes_the_request_in_flight_at_sigterm(model: &Model) {
    let mut server = Server::start(model);
    let mut warm = server.connect();
    warm.get("/");
    warm.send(get("/sleep/1000000"));
    // The request has arrived: sending it takes no time, and the handler needs much longer.
    assert!(warm.hears_nothing_for(Duration::from_millis(100)));
    let children = server.children();
    server.signal(Signal::TERM);
    assert_eq!(warm.answer().status, 200);
    warm.assert_ended();
    assert!(server.await_clean_end() < PROMPT);
    assert_are_gone(&children);
}

fn finishes_a_download_at_sigterm(model: &Model) {
    let mut server = Server::start(model);
    let mut client = downloading_client(&server);
    let children = server.children();
    server.signal(Signal::TERM);
    assert_finishes(&mut client);
    client.assert_is_over();
    server.await_clean_end();
    assert_are_gone(&children);
}

fn takes_no_new_client_after_sigterm(model: &Model) {
    let mut server = Server::start(model);
    let mut client = downloading_client(&server);
    server.signal(Signal::TERM);
    wait::until("nobody listens any more", || server.port_is_closed());
    assert!(server.is_running(), "it is gone before the download is complete");
    assert_finishes(&mut client);
    server.await_clean_end();
}

fn ends_once_at_repeated_signals(model: &Model) {
    let mut server = Server::start(model);
    let mut client = downloading_client(&server);
    let children = server.children();
    for signal in [Signal::TERM, Signal::TERM, Signal::INT, Signal::TERM] {
        server.signal(signal);
    }
    assert_finishes(&mut client);
    server.await_clean_end();
    assert_are_gone(&children);
}

fn starts_again_on_its_port_while_connections_are_in_time_wait(model: &Model) -> Outcome {
    let overflows = time_wait_overflows();
    let mut server = Server::start(model);
    let address = server.address;
    for _ in 0..3 {
        // The side that closes first keeps the connection in TIME_WAIT: here the server, once
        // because the client asked for it and once because the server ends.
        let mut client = server.connect();
        client.ask("GET / HTTP/1.0\r\n\r\n");
        client.assert_ended();
        let mut idle = server.connect();
        idle.get("/");
        server.stop();
        idle.assert_ended();
        server = Server::launch(model).address(address).start();
    }
    server.assert_serves();
    if !is_in_time_wait(address) && time_wait_overflows() != overflows {
        return at_the_limit_of_time_wait();
    }
    assert!(is_in_time_wait(address), "the test does not show what it is for");
    Outcome::Shown
}

fn at_the_limit_of_time_wait() -> Outcome {
    Outcome::Skipped("the kernel is at its limit of them, net.ipv4.tcp_max_tw_buckets".into())
}

fn needs_so_reuseaddr_to_start_again_while_connections_are_in_time_wait(model: &Model) -> Outcome {
    let overflows = time_wait_overflows();
    let mut server = Server::start(model);
    let address = server.address;
    let mut client = server.connect();
    client.ask(CLOSE);
    client.assert_ended();
    drop(client);
    server.stop();
    wait::until("the connection is in TIME_WAIT, or the kernel keeps no more of them", || {
        is_in_time_wait(address) || time_wait_overflows() != overflows
    });
    if !is_in_time_wait(address) {
        return at_the_limit_of_time_wait();
    }
    let without = Server::launch(model).address(address).arguments(["--no-reuse-address"]);
    let said = line_of_refusal(without);
    for part in [&*address.to_string(), "TIME_WAIT", "60 s", "leave out --no-reuse-address"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    Server::launch(model).address(address).start().assert_serves();
    Outcome::Shown
}

/// Returns the number of times that the kernel has had too many connections in `TIME_WAIT`. The
/// table has names and values in two lines.
fn time_wait_overflows() -> Option<u64> {
    let table = fs::read_to_string("/proc/net/netstat").ok()?;
    let mut lines = table.lines().filter(|line| line.starts_with("TcpExt:"));
    let at = lines.next()?.split(' ').position(|name| name == "TCPTimeWaitOverflow")?;
    lines.next()?.split(' ').nth(at)?.parse().ok()
}

/// Returns true if the kernel's table of connections (`/proc/net/tcp`), which has addresses in
/// hexadecimal, lists the address in state `TIME_WAIT`.
fn is_in_time_wait(address: SocketAddr) -> bool {
    let SocketAddr::V4(address) = address else {
        return false;
    };
    let ip = u32::from_ne_bytes(address.ip().octets());
    let local = format!("{ip:08X}:{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp").expect("the table can be read");
    table.lines().any(|line| {
        let mut columns = line.split_whitespace();
        columns.nth(1) == Some(&local) && columns.nth(1) == Some("06")
    })
}

fn refuses_a_busy_port_with_one_line_and_status_2(model: &Model) {
    let server = Server::start(model);
    let said = line_of_refusal(Server::launch(model).address(server.address));
    assert!(said.contains(&server.address.to_string()), "{said}");
    server.assert_serves();
}

/// Runs a server that can't start, and returns the line in which it says so.
#[track_caller]
fn line_of_refusal(launch: Launch) -> String {
    let output = launch.run_to_its_end().expect("c10k serve can be started");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stderr).expect("it speaks text");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}
