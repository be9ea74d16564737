//! A server that does what a script says, with a thread per connection, and records what it saw.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

/// A response of status 200 with a body of two bytes, which keeps the connection open.
pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Timeout for a read or a write. No test needs a peer that is silent for longer; without it,
/// threads could stay for ever.
const LONGEST_SILENCE: Duration = Duration::from_secs(20);

/// Action of the server on a connection, after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Waits for the next request.
    Keep,
    /// Closes the connection in order: everything sent arrives.
    Close,
    /// Resets the connection.
    Reset,
    /// Holds the connection open until the client closes it, and answers nothing more.
    Hold,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// Number of the connection, from 0.
    pub connection: usize,
    /// Number of requests before it on the same connection.
    pub number: usize,
    /// Number of requests before it on all connections.
    pub total: usize,
    /// Request line and header fields, with the empty line.
    pub head: String,
    pub body: Vec<u8>,
    /// Time when the last byte arrived.
    pub at: Instant,
}

/// A connection as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub accepted: Instant,
    /// Time when the client closed the connection, if the server waited for that.
    pub ended: Option<Instant>,
    pub requests: Vec<Request>,
    /// Number of responses that the script wrote without an error.
    pub answers: usize,
    pub resets: usize,
}

type Script = dyn Fn(&Request, &mut TcpStream) -> std::io::Result<After> + Send + Sync;

struct Shared {
    connections: Mutex<Vec<Seen>>,
    total: Mutex<usize>,
    stop: AtomicBool,
    script: Box<Script>,
    /// Action on each connection before a request is read.
    greeting: fn(usize, &mut TcpStream) -> After,
    /// Speed at which requests are read: the most bytes of one read, and the pause before each
    /// read.
    reading: Option<(usize, Duration)>,
}

/// The server; dropping it stops it.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts a server that answers every request as `script` does.
    pub fn start(
        script: impl Fn(&Request, &mut TcpStream) -> std::io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        Self::build("127.0.0.1:0", script, |_, _| After::Keep, None)
    }

    /// Starts a server that answers every request with these bytes.
    pub fn answering(bytes: impl Into<Vec<u8>>, after: After) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, socket| socket.write_all(&bytes).map(|()| after))
    }

    /// Starts a server that runs `greeting` on each connection before a request is read.
    pub fn greeting(greeting: fn(usize, &mut TcpStream) -> After) -> Self {
        Self::build(
            "127.0.0.1:0",
            |_, socket| socket.write_all(OK).map(|()| After::Keep),
            greeting,
            None,
        )
    }

    /// Starts a server that reads at most `count` bytes at a time, with a pause before each read,
    /// and answers 200.
    pub fn reading_slowly(count: usize, pause: Duration) -> Self {
        let script =
            |_: &Request, socket: &mut TcpStream| socket.write_all(OK).map(|()| After::Keep);
        Self::build("127.0.0.1:0", script, |_, _| After::Keep, Some((count, pause)))
    }

    pub fn build(
        address: &str,
        script: impl Fn(&Request, &mut TcpStream) -> std::io::Result<After> + Send + Sync + 'static,
        greeting: fn(usize, &mut TcpStream) -> After,
        reading: Option<(usize, Duration)>,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let shared = Arc::new(Shared {
            connections: Mutex::default(),
            total: Mutex::default(),
            stop: AtomicBool::new(false),
            script: Box::new(script),
            greeting,
            reading,
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &own));
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Returns all connections that were accepted.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.connections).clone()
    }

    /// Returns all requests that arrived completely, connection by connection.
    pub fn requests(&self) -> Vec<Request> {
        self.seen().into_iter().flat_map(|seen| seen.requests).collect()
    }

    /// Returns the number of responses that were written completely.
    pub fn answers(&self) -> u64 {
        self.seen().iter().map(|seen| seen.answers as u64).sum()
    }

    /// Returns the number of connections that the script reset.
    pub fn resets(&self) -> u64 {
        self.seen().iter().map(|seen| seen.resets as u64).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
    }
}

/// Locks a mutex. A script that panicked fails its test elsewhere; the counts stay readable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let Ok(socket) = socket else { continue };
        let connection = {
            let mut connections = lock(&shared.connections);
            connections.push(Seen {
                accepted: Instant::now(),
                ended: None,
                requests: Vec::new(),
                answers: 0,
                resets: 0,
            });
            connections.len() - 1
        };
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(connection, socket, &shared));
    }
}

fn serve(connection: usize, mut socket: TcpStream, shared: &Shared) {
    let _ = socket.set_nodelay(true);
    let _ = socket.set_read_timeout(Some(LONGEST_SILENCE));
    let _ = socket.set_write_timeout(Some(LONGEST_SILENCE));
    let with = |change: &dyn Fn(&mut Seen)| change(&mut lock(&shared.connections)[connection]);
    let mut after = (shared.greeting)(connection, &mut socket);
    let mut reader = Reader { rest: Vec::new(), reading: shared.reading };
    while after == After::Keep {
        let Some((head, body)) = reader.request(&mut socket) else {
            return with(&|seen| seen.ended = Some(Instant::now()));
        };
        let request = note(connection, head, body, shared);
        // A response counts before it is sent, so that the client can never know of more responses
        // than the server.
        with(&|seen| seen.answers += 1);
        let Ok(next) = (shared.script)(&request, &mut socket) else {
            return with(&|seen| seen.answers -= 1);
        };
        after = next;
        if matches!(after, After::Reset | After::Hold) {
            with(&|seen| seen.answers -= 1);
        }
    }
    match after {
        After::Reset => {
            with(&|seen| seen.resets += 1);
            let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
        }
        After::Hold => {
            let _ = std::io::copy(&mut socket, &mut std::io::sink());
            with(&|seen| seen.ended = Some(Instant::now()));
        }
        After::Close | After::Keep => {}
    }
}

fn note(connection: usize, head: String, body: Vec<u8>, shared: &Shared) -> Request {
    let total = {
        let mut total = lock(&shared.total);
        *total += 1;
        *total - 1
    };
    let seen = &mut lock(&shared.connections)[connection];
    let request =
        Request { connection, number: seen.requests.len(), total, head, body, at: Instant::now() };
    seen.requests.push(request.clone());
    request
}

/// Reader that parses only as much of a request as it needs: heads up to the empty line, bodies by
/// their `Content-Length`.
struct Reader {
    rest: Vec<u8>,
    reading: Option<(usize, Duration)>,
}

impl Reader {
    fn request(&mut self, socket: &mut TcpStream) -> Option<(String, Vec<u8>)> {
        let end = loop {
            if let Some(at) = self.rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill(socket)?;
        };
        let head = String::from_utf8_lossy(&self.rest[..end]).into_owned();
        let length = content_length(&head);
        while self.rest.len() < end + length {
            self.fill(socket)?;
        }
        let body = self.rest[end..end + length].to_vec();
        self.rest.drain(..end + length);
        Some((head, body))
    }

    fn fill(&mut self, socket: &mut TcpStream) -> Option<()> {
        let mut buffer = [0; 16 * 1024];
        let (limit, pause) = self.reading.unwrap_or((buffer.len(), Duration::ZERO));
        thread::sleep(pause);
        loop {
            match socket.read(&mut buffer[..limit]) {
                Ok(0) => return None,
                Ok(read) => {
                    self.rest.extend_from_slice(&buffer[..read]);
                    return Some(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

fn content_length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}
