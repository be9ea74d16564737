//! Clients of a soak: good ones, whose responses are all checked, and hostile ones of every kind.

#![expect(clippy::unnecessary_wraps, reason = "clients of all kinds have one shape")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::client::{CLOSE, Client, get, pattern};
use crate::wait;

/// Number of clients of each kind per server. Hostile clients mostly wait.
pub const GOOD_CLIENTS: usize = 2;
pub const HOSTILE_CLIENTS: usize = 4;

/// Timeout of a server for heads and idle connections: short, so that it cuts off many clients in
/// little time, and long compared with the pauses of good clients, which never wait within a
/// connection.
pub const TIMEOUT: Duration = Duration::from_millis(500);

/// Pause between two connections of a client: it bounds the rate, so that a busy machine has the
/// same work as an idle one.
const PAUSE: Duration = Duration::from_millis(20);

/// Rounds of connections in a warm-up: more than enough that each of several loops gets its share,
/// although the kernel distributes connections among them by chance.
const WARM_UP_ROUNDS: usize = 3;

/// Size of a body in the warm-up: twice the size of the largest pool of buffers for reading, over
/// all connections of one loop.
const WARM_UP_BODY_BYTES: usize = 2 * 1024 * 1024;

/// Number of requests at once whose responses are copied one after the other: several times what a
/// server collects before it sends.
const WARM_UP_PIPELINE: usize = 32;

/// Results of the clients so far.
#[derive(Debug, Default)]
pub struct Counts {
    answered: AtomicUsize,
    hostile: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Counts {
    /// Returns the number of requests that were answered as they should be.
    pub fn answered(&self) -> usize {
        self.answered.load(Relaxed)
    }

    /// Returns the number of connections of hostile clients.
    pub fn hostile(&self) -> usize {
        self.hostile.load(Relaxed)
    }

    /// Fails if a request went wrong.
    pub fn check(&self) -> Result<(), String> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        match wrong.first() {
            None => Ok(()),
            Some(first) => Err(format!("{} requests went wrong, first: {first}", wrong.len())),
        }
    }
}

/// Makes everything in a server grow to its final size: heaps and stacks, as well as buffers that
/// are lent to the kernel, each of which takes memory from its first use on. `at_once` clients send
/// and request more than any buffer holds and make a handler panic, all at the same time, so that
/// each of as many workers has its turn. Servers are warmed up one after the other: the clients of
/// all servers together would keep each other from their processors for longer than a server's
/// timeout.
pub fn warm_up(server: SocketAddr, at_once: usize) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                for _ in 0..WARM_UP_ROUNDS {
                    // On a busy machine a client may be so late that the server gives up on it.
                    wait::until("a server is warm", || fills_all_buffers(server).is_ok());
                }
            });
        }
    });
}

fn fills_all_buffers(server: SocketAddr) -> Result<(), String> {
    let mut client = Client::try_connect(server).map_err(|error| error.to_string())?;
    let head =
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {WARM_UP_BODY_BYTES}\r\n\r\n");
    for (requests, answers, status) in [
        (head + &"x".repeat(WARM_UP_BODY_BYTES), 1, 405),
        (get(&format!("/bytes/{WARM_UP_BODY_BYTES}")), 1, 200),
        (get("/bytes/16000").repeat(WARM_UP_PIPELINE), WARM_UP_PIPELINE, 200),
        (get("/panic"), 1, 500),
    ] {
        send(&mut client, requests)?;
        for _ in 0..answers {
            expect_status(&mut client, &[status])?;
        }
    }
    Ok(())
}

/// Connects again and again until `end`, each time as a client of some kind.
pub fn run(is_good: bool, server: SocketAddr, seed: u64, end: Instant, counts: &Counts) {
    let random = ChaCha8Rng::seed_from_u64(seed);
    let mut turn = Turn { random, since: Instant::now(), longest: Duration::ZERO };
    while Instant::now() < end {
        let kind = turn.pick(if is_good { GOOD } else { HOSTILE });
        turn.begin();
        let client =
            Client::try_connect(server).map_err(|error| format!("cannot connect: {error}"));
        match client.and_then(|client| (kind.act)(client, &mut turn)) {
            Ok(answered) if is_good => counts.answered.fetch_add(answered, Relaxed),
            Ok(_) => counts.hostile.fetch_add(1, Relaxed),
            Err(_) if turn.was_late() => 0,
            Err(error) => {
                let mut wrong = counts.wrong.lock().unwrap_or_else(PoisonError::into_inner);
                wrong.push(format!("{}: {error}", kind.name));
                wrong.len()
            }
        };
        thread::sleep(PAUSE);
    }
}

/// A kind of client: what it does with a connection. `act` returns the number of responses; an
/// error says what the server did wrong.
#[derive(Debug, Clone, Copy)]
struct Kind {
    name: &'static str,
    act: fn(Client, &mut Turn) -> Result<usize, String>,
}

macro_rules! kinds {
    ($($name:ident,)+) => { &[$(Kind { name: stringify!($name), act: $name },)+] };
}

const GOOD: &[Kind] = kinds![keeps_its_connection, asks_once, pipelines, sends_in_pieces,];

const HOSTILE: &[Kind] = kinds![
    sends_half_a_head,
    drips_a_head,
    sends_half_a_body,
    says_nothing,
    half_closes_in_a_request,
    half_closes_behind_requests,
    resets_in_an_answer,
    never_reads,
    sends_garbage,
    never_stops_talking,
    panics_the_handler,
    vanishes_in_a_request,
    vanishes_before_its_answer,
];

/// State of one connection of a client: its random numbers, and the longest time that it may have
/// kept the server waiting.
#[derive(Debug)]
struct Turn {
    random: ChaCha8Rng,
    /// Time when the client last began to send or to read. The server may have answered at any time
    /// since, and waits for the client from then on.
    since: Instant,
    longest: Duration,
}

impl Turn {
    fn pick<'a>(&mut self, kinds: &'a [Kind]) -> &'a Kind {
        &kinds[self.below(kinds.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.next_u32() as usize % bound
    }

    /// Returns the length of a response: mostly small, sometimes one that takes many writes.
    fn length(&mut self) -> usize {
        let bound = [1000, 1000, 20_000, 300_000][self.below(4)];
        self.below(bound)
    }

    fn begin(&mut self) {
        (self.since, self.longest) = (Instant::now(), Duration::ZERO);
    }

    /// Reads a response and checks it.
    fn expect(&mut self, client: &mut Client, length: usize) -> Result<(), String> {
        self.longest = self.longest.max(self.since.elapsed());
        self.since = Instant::now();
        let answer = client.try_answer().map_err(|error| error.to_string())?;
        let is_right = answer.status == 200 && answer.body == pattern(length);
        is_right
            .then_some(())
            .ok_or_else(|| format!("/bytes/{length} was answered {}", answer.head))
    }

    /// Returns true if the client was so late that a server may have given up on it, because the
    /// machine was busy with something else.
    fn was_late(&self) -> bool {
        self.longest > TIMEOUT * 4 / 5
    }
}

fn send(client: &mut Client, bytes: impl AsRef<[u8]>) -> Result<(), String> {
    client.try_send(bytes).then_some(()).ok_or_else(|| "it does not take a request".into())
}

fn expect_status(client: &mut Client, statuses: &[u16]) -> Result<usize, String> {
    let answer = client.try_answer().map_err(|error| error.to_string())?;
    let is_right = statuses.contains(&answer.status);
    is_right.then_some(1).ok_or_else(|| format!("instead of {statuses:?} it says {}", answer.head))
}

fn keeps_its_connection(mut client: Client, turn: &mut Turn) -> Result<usize, String> {
    let requests = 1 + turn.below(20);
    for _ in 0..requests {
        let length = turn.length();
        send(&mut client, get(&format!("/bytes/{length}")))?;
        turn.expect(&mut client, length)?;
    }
    Ok(requests)
}

fn asks_once(mut client: Client, _: &mut Turn) -> Result<usize, String> {
    send(&mut client, CLOSE)?;
    expect_status(&mut client, &[200])
}

fn pipelines(mut client: Client, turn: &mut Turn) -> Result<usize, String> {
    let lengths: Vec<usize> = (0..=turn.below(10)).map(|_| turn.length()).collect();
    let requests: String = lengths.iter().map(|length| get(&format!("/bytes/{length}"))).collect();
    send(&mut client, requests)?;
    for &length in &lengths {
        turn.expect(&mut client, length)?;
    }
    Ok(lengths.len())
}

fn sends_in_pieces(mut client: Client, turn: &mut Turn) -> Result<usize, String> {
    let length = turn.length();
    for piece in get(&format!("/bytes/{length}")).as_bytes().chunks(1 + turn.below(30)) {
        send(&mut client, piece)?;
    }
    turn.expect(&mut client, length)?;
    Ok(1)
}

fn sends_half_a_head(mut client: Client, _: &mut Turn) -> Result<usize, String> {
    client.try_send("GET / HTTP/1.1\r\nHost: loc");
    expect_status(&mut client, &[408])
}

fn drips_a_head(mut client: Client, _: &mut Turn) -> Result<usize, String> {
    client.try_send("GET / HTTP/1.1\r\nX: ");
    let begin = Instant::now();
    while begin.elapsed() < TIMEOUT && client.try_send("x") {
        thread::sleep(PAUSE);
    }
    expect_status(&mut client, &[408])
}

fn sends_half_a_body(mut client: Client, _: &mut Turn) -> Result<usize, String> {
    client.try_send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    expect_status(&mut client, &[408])
}

fn says_nothing(mut client: Client, _: &mut Turn) -> Result<usize, String> {
    let bytes = client.read_until_over();
    (bytes == 0).then_some(0).ok_or_else(|| "it speaks to who says nothing".into())
}

fn half_closes_in_a_request(mut client: Client, _: &mut Turn) -> Result<usize, String> {
    client.try_send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    client.shut_sending();
    let bytes = client.read_until_over();
    (bytes == 0).then_some(0).ok_or_else(|| "it answers half a request".into())
}

fn half_closes_behind_requests(mut client: Client, turn: &mut Turn) -> Result<usize, String> {
    let length = turn.length();
    client.try_send(get(&format!("/bytes/{length}")).repeat(2));
    client.shut_sending();
    turn.expect(&mut client, length)?;
    turn.expect(&mut client, length)?;
    (client.read_until_over() == 0).then_some(2).ok_or_else(|| "it says more than was asked".into())
}

fn resets_in_an_answer(mut client: Client, _: &mut Turn) -> Result<usize, String> {
    client.try_send(get("/bytes/4000000"));
    client.hears_nothing_for(PAUSE);
    client.reset();
    Ok(0)
}

/// Stays until the server cuts the connection, or for a somewhat shorter time.
fn never_reads(mut client: Client, turn: &mut Turn) -> Result<usize, String> {
    client.try_send(get("/bytes/16000000"));
    thread::sleep(TIMEOUT * turn.below(100) as u32 / 70);
    Ok(0)
}

fn sends_garbage(mut client: Client, turn: &mut Turn) -> Result<usize, String> {
    let mut noise = vec![0; 9000];
    turn.random.fill_bytes(&mut noise);
    client.try_send(noise);
    expect_status(&mut client, &[400, 414, 501, 505])
}

fn never_stops_talking(mut client: Client, _: &mut Turn) -> Result<usize, String> {
    client.try_send("GARBAGE\r\n\r\n");
    let piece = vec![b'x'; 64 * 1024];
    let refused = (0..1024).any(|_| !client.try_send(&piece));
    refused.then_some(0).ok_or_else(|| "it reads on after a refusal".into())
}

fn panics_the_handler(mut client: Client, _: &mut Turn) -> Result<usize, String> {
    client.try_send(get("/panic"));
    expect_status(&mut client, &[500])
}

fn vanishes_in_a_request(mut client: Client, turn: &mut Turn) -> Result<usize, String> {
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello";
    client.try_send(&request[..=turn.below(request.len() - 1)]);
    Ok(0)
}

fn vanishes_before_its_answer(mut client: Client, _: &mut Turn) -> Result<usize, String> {
    client.try_send(get("/sleep/10000").repeat(3));
    Ok(0)
}
