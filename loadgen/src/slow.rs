//! Slow clients: connections beside the measured ones that send their requests, and read their
//! responses, a few bytes at a time, as over a slow network.
//!
//! They occupy the resources that a server holds for a connection: a process or a thread for the
//! whole time, or a few hundred bytes. One thread, which does nothing else, gives each client a
//! turn in every [`BEAT`]; the turns are spread evenly over it, so that the clients do not all come
//! at once. They send the same request as the measured connections and are counted separately. None
//! of their times is recorded.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock::nanos;
use crate::connection::{Connection, KnownHead, Progress};
use crate::plan::Plan;
use crate::source::Sources;
use crate::workload::Lifetime;

/// Time between two turns of a client; in each turn it sends or reads the bytes that its rate
/// allows for that time. More frequent turns would look the same to a server and cost the generator
/// more.
const BEAT: Duration = Duration::from_millis(250);

/// Time between two checks of the thread for turns that are due.
const LOOK: Duration = Duration::from_millis(5);

/// Bytes that the kernel receives ahead of a slow client. With the usual buffers the kernel would
/// take a whole response, and the server would be done with it.
const RECEIVE_BYTES: usize = 4096;

/// Outcome of slow clients. Requests are those of the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SlowClients {
    /// Connections that the workload called for.
    pub requested: u64,
    /// Requested connections that were established at least once.
    pub established: u64,
    /// Requests with a complete response of a good status.
    pub completed: u64,
    /// Requests without such a response: the connection broke off, or another response came. A
    /// server may give up on a client that is too slow for it.
    pub failed: u64,
}

/// All slow clients of a run.
pub(crate) struct Slow {
    plan: Arc<Plan>,
    clients: Vec<Client>,
    request: Vec<u8>,
    last_request: Vec<u8>,
    /// Buffer for the bytes of one turn.
    piece: Vec<u8>,
    is_head: bool,
    sources: Sources,
    known_head: KnownHead,
    counts: SlowClients,
}

/// A slow client. It may use many sockets over its life.
#[derive(Debug, Default)]
struct Client {
    socket: Option<TcpStream>,
    was_established: bool,
    /// Bytes of the request that were sent.
    written: usize,
    response: Connection,
    /// Requests that this socket may still carry.
    left: u64,
}

/// Result of a turn.
enum Turn {
    GoesOn,
    /// The response is complete: `is_good` by its status, and `keep_alive` if the connection can be
    /// used again.
    Answered {
        is_good: bool,
        keep_alive: bool,
    },
    /// The connection broke off.
    Lost,
}

impl Slow {
    /// Creates the slow clients of the workload; `None` if there are none.
    pub fn of(plan: &Arc<Plan>) -> Option<Self> {
        let workload = &plan.workload;
        let count = workload.slow;
        (count > 0).then(|| Self {
            clients: (0..count).map(|_| Client::default()).collect(),
            request: plan.target.render(&workload.request, false),
            last_request: plan.target.render(&workload.request, workload.asks_to_close()),
            piece: vec![0; bytes_of_a_turn(workload.slow_bytes_per_s)],
            is_head: workload.request.method == "HEAD",
            sources: Sources::new(&plan.target.addresses, count),
            known_head: KnownHead::default(),
            counts: SlowClients { requested: count as u64, ..SlowClients::default() },
            plan: Arc::clone(plan),
        })
    }

    /// Runs until `release` is disconnected. The measured part waits until each client has begun to
    /// connect and had a turn.
    pub fn run(mut self, release: &Receiver<()>) -> SlowClients {
        let begin = self.plan.clock.now();
        let every = (nanos(BEAT) / self.clients.len() as u64).max(1);
        let mut turns = 0;
        let mut stand = false;
        while release.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let now = self.plan.clock.now();
            let due = (now - begin) / every;
            // A thread that was late itself skips the turns of whole rounds.
            turns = turns.max(due.saturating_sub(self.clients.len() as u64));
            while turns < due && !self.plan.is_stopped() {
                self.turn((turns % self.clients.len() as u64) as usize);
                turns += 1;
            }
            if !stand && turns >= 2 * self.clients.len() as u64 {
                stand = true;
                self.plan.worker_has_idle(now);
            }
        }
        self.counts
    }

    fn turn(&mut self, at: usize) {
        if self.clients[at].socket.is_none() {
            // A full server may refuse a connection; the client tries again at every turn.
            self.clients[at] = Client {
                socket: self.connect(at).ok(),
                was_established: self.clients[at].was_established,
                left: match self.plan.workload.lifetime {
                    Lifetime::Persistent => u64::MAX,
                    Lifetime::Requests(requests) => u64::from(requests.get()),
                },
                ..Client::default()
            };
            return;
        }
        let turn = self.go_on(at).unwrap_or(Turn::Lost);
        let client = &mut self.clients[at];
        let (begin, end) = self.plan.window();
        let counts = (begin..end).contains(&self.plan.clock.now());
        match turn {
            Turn::GoesOn => {}
            Turn::Answered { is_good, keep_alive } => {
                *(if is_good { &mut self.counts.completed } else { &mut self.counts.failed }) +=
                    u64::from(counts);
                client.written = 0;
                client.left -= 1;
                if !keep_alive || client.left == 0 {
                    client.socket = None;
                }
            }
            Turn::Lost => {
                self.counts.failed += u64::from(counts && client.written > 0);
                client.socket = None;
            }
        }
    }

    /// Sends or reads a piece.
    fn go_on(&mut self, at: usize) -> io::Result<Turn> {
        let client = &mut self.clients[at];
        let Some(socket) = &mut client.socket else { return Ok(Turn::GoesOn) };
        let request = if client.left == 1 { &self.last_request } else { &self.request };
        if client.written < request.len() {
            let rest = &request[client.written..];
            let Some(written) = ready(socket.write(&rest[..rest.len().min(self.piece.len())]))?
            else {
                return Ok(Turn::GoesOn);
            };
            client.written += written;
            if !client.was_established {
                client.was_established = true;
                self.counts.established += 1;
                self.plan.server_was_reached();
            }
            return Ok(Turn::GoesOn);
        }
        let Some(read) = ready(socket.read(&mut self.piece))? else { return Ok(Turn::GoesOn) };
        if read == 0 {
            let head = client.response.receive_end();
            return Ok(head.map_or(Turn::Lost, |head| Turn::Answered {
                is_good: head.status < 400,
                keep_alive: false,
            }));
        }
        match client.response.receive(&self.piece[..read], self.is_head, &mut self.known_head) {
            Ok(Progress::Partial) => Ok(Turn::GoesOn),
            Ok(Progress::Whole { head, consumed }) if consumed == read => {
                Ok(Turn::Answered { is_good: head.status < 400, keep_alive: head.keep_alive })
            }
            Ok(Progress::Whole { .. }) | Err(_) => Ok(Turn::Lost),
        }
    }

    /// Begins to connect without waiting for the result.
    fn connect(&mut self, at: usize) -> io::Result<TcpStream> {
        let addresses = &self.plan.target.addresses;
        let address = addresses[at % addresses.len()];
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        self.sources.bind_next(&socket, address)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            result => result?,
        }
        Ok(socket.into())
    }
}

/// Returns the number of bytes that a client sends or reads in a turn: at least one.
fn bytes_of_a_turn(bytes_per_s: f64) -> usize {
    ((bytes_per_s * BEAT.as_secs_f64()).round() as usize).max(1)
}

/// Returns `None` if the call would have to wait.
fn ready(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
