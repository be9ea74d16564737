//! Slow clients: a client is served for as long as it makes progress, and cut off when it does not.
//!
//! A timeout that the test expects is short. One that must not expire is several times longer than
//! the pauses of the client, since the machine may be busy. If the machine is so busy that the
//! client itself is too late, the client tries again.

use std::thread;
use std::time::{Duration, Instant};

use super::{Behaviour, behaviours};
use crate::client::{Client, get, pattern};
use crate::holdings::Holdings;
use crate::model::Model;
use crate::server::Server;
use crate::wait;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    drops_a_refused_client_that_stays,
    drops_a_refused_client_that_keeps_sending_slowly,
    gives_each_head_a_clock_of_its_own,
    keeps_a_connection_that_keeps_asking,
    keeps_a_connection_whose_body_keeps_coming,
    keeps_a_client_that_reads_slowly,
    answers_408_to_a_head_that_comes_byte_by_byte,
    answers_408_to_a_head_that_stops,
    answers_408_to_a_body_that_stops,
    ends_an_idle_connection_without_a_response,
    ends_a_connection_that_never_sends_anything,
    cuts_off_clients_that_do_not_read_and_keeps_nothing_of_them,
];

/// Receive buffer, in bytes, of a client that must not be cut; as much as any system allows, since
/// a busy machine may be slow to wake the client.
const RECEIVE_BYTES: usize = 200 * 1024;

/// Timeout that the test expects to expire.
const SHORT: Duration = Duration::from_millis(200);

/// Pause between two bytes, or two requests, of a client that makes progress.
const PAUSE: Duration = Duration::from_millis(20);

/// Time by which a server may close earlier than the client expects: the server reads its clock
/// once for all events of one wait, which may be earlier than the client reads its own.
const TOLERANCE: Duration = Duration::from_millis(100);

const BODY: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n";

fn serve(model: &Model, option: &str, time: Duration) -> Server {
    Server::launch(model).arguments([option.to_owned(), format!("{}ms", time.as_millis())]).start()
}

/// Checks that a client is answered with 408, and no earlier than `SHORT` after `begin`.
#[track_caller]
fn assert_timed_out(mut client: Client, begin: Instant) {
    let answer = client.answer();
    assert!(begin.elapsed() + TOLERANCE >= SHORT, "after {:?}", begin.elapsed());
    assert_eq!(answer.status, 408);
    assert!(answer.closes());
    client.assert_ended();
}

/// The "slowloris" attack: every byte comes soon enough, but the head never ends.
fn answers_408_to_a_head_that_comes_byte_by_byte(model: &Model) {
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

fn answers_408_to_a_head_that_stops(model: &Model) {
    let server = serve(model, "--head-timeout", SHORT);
    for part in ["G", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut client = server.connect();
        // A request before it, so that the test covers more than the first head of a connection.
        client.get("/");
        let begin = Instant::now();
        client.send(part);
        server.assert_serves_others();
        assert_timed_out(client, begin);
    }
    server.assert_serves();
}

/// Pauses of a client that must be served for as long as it is in time, and the longest of them:
/// other processes may keep the client from its processor.
struct Pauses {
    each: Duration,
    /// Ends of the last two pauses.
    ends: [Instant; 2],
    longest: Duration,
}

impl Pauses {
    fn of(each: Duration) -> Self {
        Self { each, ends: [Instant::now(); 2], longest: Duration::ZERO }
    }

    /// Sleeps for one pause.
    fn wait(&mut self) {
        thread::sleep(self.each);
    }

    /// Records the end of a pause: the client has sent or read something.
    fn end(&mut self) {
        self.longest = self.longest.max(self.ends[1].elapsed());
        self.ends = [self.ends[1], Instant::now()];
    }

    /// Records the end of a pause where the server may see this pause and the previous one as one.
    fn end_perhaps(&mut self) {
        self.longest = self.longest.max(self.ends[0].elapsed());
        self.ends = [self.ends[1], Instant::now()];
    }
}

/// Checks that a server whose `option` is set to `time` serves a client that sends or reads after
/// pauses much shorter than `time`. `goes_on` acts as the client, and returns `Some` if it was
/// served to the end.
#[track_caller]
fn assert_keeps(
    model: &Model,
    option: &str,
    time: Duration,
    pause: Duration,
    goes_on: impl Fn(Client, &mut Pauses) -> Option<()>,
) {
    wait::until("a client is in time", || {
        let server = serve(model, option, time);
        let client = Client::connect_with_small_buffer(server.address, RECEIVE_BYTES);
        let begin = Instant::now();
        let mut pauses = Pauses::of(pause);
        let is_kept = goes_on(client, &mut pauses).is_some();
        assert!(!is_kept || begin.elapsed() > time, "the test does not show what it is for");
        assert!(is_kept || pauses.longest > time * 4 / 5, "it was cut after {:?}", pauses.longest);
        is_kept
    });
}

/// Reads a response with `status`. Returns `None` if the connection is over or the response is a
/// 408.
#[must_use]
fn told(client: &mut Client, status: u16) -> Option<()> {
    let answer = client.try_answer().ok()?;
    assert!(answer.status == status || answer.status == 408, "{answer:?}");
    (answer.status == status).then_some(())
}

fn send(client: &mut Client, bytes: impl AsRef<[u8]>) -> Option<()> {
    client.try_send(bytes).then_some(())
}

/// The timeout of the second head begins at the end of the first head: both together may take
/// longer than one timeout.
fn gives_each_head_a_clock_of_its_own(model: &Model) {
    const TIMEOUT: Duration = Duration::from_millis(1500);
    assert_keeps(model, "--head-timeout", TIMEOUT, TIMEOUT * 3 / 5, |mut client, pauses| {
        send(&mut client, "GET /bytes/1 HTTP/1.1\r\n")?;
        pauses.wait();
        send(&mut client, "Host: localhost\r\n\r\nGET /bytes/2 HTTP/1.1\r\n")?;
        pauses.end();
        told(&mut client, 200)?;
        pauses.wait();
        send(&mut client, "Host: localhost\r\n\r\n")?;
        pauses.end();
        told(&mut client, 200)
    });
}

fn answers_408_to_a_body_that_stops(model: &Model) {
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

/// Between two requests the server owes the client no response, so it closes the connection without
/// sending one.
fn ends_an_idle_connection_without_a_response(model: &Model) {
    let server = serve(model, "--idle-timeout", SHORT);
    let mut client = server.connect();
    // The timeout begins when the server responds. A busy client may read the response much later,
    // so the client measures from before its request.
    let begin = Instant::now();
    client.get("/");
    client.assert_ended();
    assert!(begin.elapsed() + TOLERANCE >= SHORT, "after {:?}", begin.elapsed());
    server.assert_serves();
}

fn ends_a_connection_that_never_sends_anything(model: &Model) {
    let server = serve(model, "--idle-timeout", SHORT);
    let begin = Instant::now();
    server.connect().assert_ended();
    assert!(begin.elapsed() + TOLERANCE >= SHORT, "after {:?}", begin.elapsed());
    server.assert_serves();
}

/// Timeout that is longer than each pause and shorter than all of them together.
const IDLE: Duration = Duration::from_secs(1);

fn keeps_a_connection_that_keeps_asking(model: &Model) {
    assert_keeps(model, "--idle-timeout", IDLE, IDLE / 4, |mut client, pauses| {
        for _ in 0..5 {
            pauses.wait();
            send(&mut client, get("/"))?;
            pauses.end();
            told(&mut client, 200)?;
        }
        Some(())
    });
}

fn keeps_a_connection_whose_body_keeps_coming(model: &Model) {
    assert_keeps(model, "--idle-timeout", IDLE, IDLE / 6, |mut client, pauses| {
        send(&mut client, BODY)?;
        for _ in 0..8 {
            pauses.wait();
            send(&mut client, "x")?;
            pauses.end();
        }
        told(&mut client, 405)?;
        send(&mut client, get("/"))?;
        told(&mut client, 200)
    });
}

const LARGE: usize = 16 * 1024 * 1024;

fn reader(server: &Server) -> Client {
    let mut client = Client::connect_with_small_buffer(server.address, 64 * 1024);
    client.send(get(&format!("/bytes/{LARGE}")));
    assert_eq!(client.read_head(), LARGE);
    client
}

fn keeps_a_client_that_reads_slowly(model: &Model) {
    // The kernel reports to a server that its client reads when a third of the kernel's buffer, of
    // up to 4 MiB, is free.
    const PIECE: usize = 2 * 1024 * 1024;
    let expected = pattern(LARGE);
    assert_keeps(model, "--idle-timeout", IDLE * 2, IDLE / 3, |mut client, pauses| {
        send(&mut client, get(&format!("/bytes/{LARGE}")))?;
        assert_eq!(client.read_head(), LARGE);
        pauses.end();
        for piece in expected.chunks(PIECE) {
            pauses.wait();
            assert!(client.try_read_exactly(piece.len()).ok()? == piece);
            pauses.end_perhaps();
        }
        Some(())
    });
}

fn cuts_off_clients_that_do_not_read_and_keeps_nothing_of_them(model: &Model) {
    // If a server serves that many clients at once, these are more clients than the workers that it
    // may still be starting when it is measured.
    const CLIENTS: usize = 40;
    let server = Server::launch(model).pool(CLIENTS).arguments(["--idle-timeout", "200ms"]).start();
    server.assert_serves();
    server.await_pool();
    let before = Holdings::of(&server);
    let stuck: Vec<Client> = (0..model.at_once(CLIENTS)).map(|_| reader(&server)).collect();
    // The clients keep their ends open.
    before.await_return_of(&server);
    server.assert_serves();
    // The clients can still read what the kernel has buffered.
    for mut client in stuck.into_iter().take(4) {
        // The client reads only now: the server continues to serve a client that reads again.
        wait::until("it is cut", || client.is_let_go());
        assert!(client.read_until_over() < LARGE, "a client was not cut that did not read");
    }
}

/// Occupies the only worker, in models that have workers, with a refused client. Checks that the
/// worker is free long before an idle connection would be closed.
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
        // The first byte that meets a closed socket is answered with a reset, and a later send
        // fails because of it.
        !refused.try_send("x")
    });
}

fn drops_a_refused_client_that_stays(model: &Model) {
    assert_lets_go(model, |_| {});
}

fn drops_a_refused_client_that_keeps_sending_slowly(model: &Model) {
    assert_lets_go(model, |refused| {
        thread::sleep(PAUSE);
        refused.try_send("x");
    });
}
