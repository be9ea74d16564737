//! SIGTERM while clients send requests: every request on an accepted connection is answered, and no
//! client gets a part of a response.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, test_kill_process_group};

use super::{Behaviour, behaviours};
use crate::client::{CLOSE, Client, get};
use crate::model::Model;
use crate::server::Server;
use crate::wait;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    loses_no_accepted_request_at_sigterm,
    serves_clients_that_wait_in_the_backlog_at_sigterm,
];

/// Time after SIGTERM for which a connection without a request is kept, since a request may be on
/// its way.
const LAST_CALL: Duration = Duration::from_millis(100);

/// Longest time between the moment when a client learns that it is connected and the moment when
/// its connection is in the server's queue. The kernel tells the client first and then sends the
/// last segment of the handshake, which has to wait for its turn on a busy machine.
const HANDSHAKE: Duration = Duration::from_millis(20);

/// One request of one client, as that client saw it.
#[derive(Debug, Clone, Copy)]
struct Request {
    /// Times when the client began to connect, and when it learned that it was connected.
    connected: [Instant; 2],
    is_first: bool,
    /// Time when the last byte was given to the kernel.
    sent: Instant,
    is_answered: bool,
}

impl Request {
    /// Returns true if the server may leave the request without a single byte of a response, given
    /// that it was told to stop at `stop`.
    ///
    /// A later request on a persistent connection may be on its way when the server closes that
    /// connection as idle (RFC 9112, section 9.6), but not within `LAST_CALL`. A first request is
    /// lost if the kernel completes its handshake between the server's last `accept`, which found
    /// no connection, and its `shutdown` of the listener, which resets the connections that are in
    /// the queue by then: no call does both. The queue is first in, first out. So a connection was
    /// accepted if it was in the queue before another one that was served, or before the signal was
    /// sent.
    fn may_be_lost(&self, stop: Instant, all: &[Self]) -> bool {
        if self.is_first {
            let is_behind =
                |other: &Self| other.is_first && other.connected[0] > self.connected[1] + HANDSHAKE;
            self.connected[1] + HANDSHAKE > stop
                && !all.iter().any(|other| is_behind(other) && other.is_answered)
        } else {
            self.sent > stop + LAST_CALL
        }
    }
}

fn loses_no_accepted_request_at_sigterm(model: &Model) {
    for _ in 0..5 {
        let mut server = Server::launch(model).one_queue().own_group().start();
        let server_address = server.address;
        let requests = Mutex::new(Vec::new());
        let count = || requests.lock().expect("no client has panicked").len();
        let stop = thread::scope(|scope| {
            for _ in 0..model.at_once(5) - 1 {
                scope.spawn(|| {
                    while ask_until_closed(server_address, &get("/bytes/20000"), &requests) {}
                });
            }
            for _ in 0..4 {
                scope.spawn(|| while ask_until_closed(server_address, CLOSE, &requests) {});
            }
            wait::until("requests are answered", || count() > 200);
            let stop = Instant::now();
            server.stop();
            stop
        });
        let requests = requests.into_inner().expect("no client has panicked");
        for lost in requests.iter().filter(|request| !request.is_answered) {
            assert!(
                lost.may_be_lost(stop, &requests),
                "it was told to stop at {stop:?} and lost {lost:?}"
            );
        }
        assert_group_is_gone(&server);
    }
}

/// Sends requests on one connection until it ends. Returns true if a connection could be made.
fn ask_until_closed(server: SocketAddr, request: &str, requests: &Mutex<Vec<Request>>) -> bool {
    let begin = Instant::now();
    let Ok(mut client) = Client::try_connect(server) else { return false };
    let connected = [begin, Instant::now()];
    let mut is_first = true;
    loop {
        // A request that could not be sent completely does not count.
        if !client.try_send(request) {
            return true;
        }
        let sent = Instant::now();
        let answer = client.whole_answer_or_nothing();
        let is_answered = answer.is_some();
        let request = Request { connected, is_first, sent, is_answered };
        requests.lock().expect("no client has panicked").push(request);
        if answer.is_none_or(|answer| answer.closes()) {
            return true;
        }
        is_first = false;
    }
}

/// Checks that no process is left, not even one that was made after the signal.
#[track_caller]
fn assert_group_is_gone(server: &Server) {
    let group = Pid::from_raw(server.pid()).expect("a process has a number");
    wait::until("no process is left", || test_kill_process_group(group).is_err());
}

fn serves_clients_that_wait_in_the_backlog_at_sigterm(model: &Model) {
    // A worker serves one connection, and a loop that runs handlers in place accepts none while a
    // handler sleeps.
    let mut server = Server::launch(model).workers(1).own_group().start();
    let mut busy = server.connect();
    busy.send(get("/sleep/300000"));
    assert!(busy.hears_nothing_for(Duration::from_millis(50)));
    let mut waiting: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(get("/bytes/9"));
    }
    server.signal(Signal::TERM);
    assert_eq!(busy.answer().status, 200);
    for client in &mut waiting {
        assert_eq!(client.answer().body.len(), 9);
        client.assert_ended();
    }
    server.await_clean_end();
    assert_group_is_gone(&server);
}
