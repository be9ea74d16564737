//! The client of an exchange: every system call that matters is a step of its own, with its times.
//!
//! Its sockets never block: each wait ends with an interrupt, or when its time is over. A step
//! lasts from its begin to its end, as the same call on a blocking socket would.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use c10k_loadgen::connection::{Connection as Responses, KnownHead, Progress};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::observation::{Call, Pair, Side, now_ns};
use super::watch::Watch;
use crate::interrupt::Interrupt;

/// Longest wait for a connection, a response, or the end of a connection.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Interval at which a wait looks for an interrupt.
const LOOK_FOR_INTERRUPT: Duration = Duration::from_millis(20);

/// Largest response, in bytes: its packets should fit on a page.
const LARGEST_RESPONSE: usize = 1 << 20;

/// Error of an interrupt; the command ends with another status than of an error.
const INTERRUPTED: &str = "interrupted";

/// The client, and the connections that it has opened.
#[derive(Debug)]
pub struct Client<'a> {
    server: SocketAddr,
    /// Name of the server in requests.
    host: String,
    source: IpAddr,
    watch: &'a Watch,
    interrupt: &'a Interrupt,
    connections: Vec<Connection>,
    /// Calls of the client, in the order in which they ended.
    pub calls: Vec<Call>,
}

#[derive(Debug)]
struct Connection {
    /// The socket; `None` once it is closed.
    socket: Option<Socket>,
    responses: Responses,
    known_head: KnownHead,
}

/// A connection of a client, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(usize);

impl<'a> Client<'a> {
    /// Creates a client of `server`, which requests call `host`, in the namespace of the calling
    /// thread.
    pub fn new(
        server: SocketAddr,
        host: &str,
        watch: &'a Watch,
        interrupt: &'a Interrupt,
    ) -> Result<Self> {
        Ok(Self {
            server,
            host: host.to_owned(),
            source: source_for(server).with_context(|| format!("there is no way to {server}"))?,
            watch,
            interrupt,
            connections: Vec::new(),
            calls: Vec::new(),
        })
    }

    /// Returns a request for `path`; the last one of a connection asks the server to close it.
    pub fn get(&self, path: &str, is_last: bool) -> Vec<u8> {
        let close = if is_last { "Connection: close\r\n" } else { "" };
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{close}\r\n", self.host).into_bytes()
    }

    /// Opens a connection, and waits until it is established.
    pub fn connect(&mut self) -> Result<Id> {
        let id = self.begin_connect(&[])?;
        ensure!(
            self.finish_connect(id, PATIENCE)?,
            "the server {} did not answer within {PATIENCE:?}; does it run, and do firewalls let \
             packets pass?",
            self.server
        );
        Ok(id)
    }

    /// Begins to open a connection whose socket has this filter; none if empty.
    pub fn begin_connect(&mut self, filter: &[SockFilter]) -> Result<Id> {
        let socket = Socket::new(
            Domain::for_address(self.server),
            Type::STREAM.nonblocking(),
            Some(Protocol::TCP),
        )?;
        // The port is chosen now rather than when connecting, so that the socket can be watched
        // from its first state on.
        socket.bind(&SocketAddr::new(self.source, 0).into())?;
        if !filter.is_empty() {
            socket.attach_filter(filter).context("cannot filter the packets of a socket")?;
        }
        let client = socket.local_addr()?.as_socket().context("a socket of IP has an address")?;
        let id = Id(self.watch.add(Pair { client, server: self.server }));
        self.watch.wait_for_reading(PATIENCE);
        self.begin(id, "connect");
        let begun = socket.connect(&self.server.into());
        self.connections.push(Connection {
            socket: Some(socket),
            responses: Responses::default(),
            known_head: KnownHead::default(),
        });
        match begun {
            Err(error) if !is_under_way(&error) => {
                self.end(&Err(error.kind()));
                Err(self.cannot_connect(&error))
            }
            _ => Ok(id),
        }
    }

    /// Waits until a connection is established; returns false if it is not within `patience`.
    pub fn finish_connect(&mut self, id: Id, patience: Duration) -> Result<bool> {
        let is_done = self.wait(id, PollFlags::OUT, patience)?;
        if !is_done {
            return Ok(false);
        }
        let error = self.socket(id)?.take_error()?;
        let step = self
            .calls
            .iter_mut()
            .find(|call| call.connection == Some(id.0) && call.name == "connect");
        if let Some(call) = step {
            finish(call, &error.as_ref().map_or(Ok(0), |error| Err(error.kind())));
        }
        error.map_or(Ok(true), |error| Err(self.cannot_connect(&error)))
    }

    fn cannot_connect(&self, error: &io::Error) -> anyhow::Error {
        anyhow!("cannot connect to {}: {error}; does a server listen there?", self.server)
    }

    /// Sends a request.
    pub fn send(&mut self, id: Id, request: &[u8]) -> Result<()> {
        self.begin(id, "send");
        let mut rest = request;
        while !rest.is_empty() {
            match self.socket(id)?.write(rest) {
                Ok(sent) => rest = &rest[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.must(id, PollFlags::OUT, "the server did not take the request")?;
                }
                Err(error) => return Err(error).context("cannot send the request"),
            }
        }
        self.end(&Ok(request.len()));
        Ok(())
    }

    /// Waits until there is something to read.
    pub fn await_response(&mut self, id: Id) -> Result<()> {
        self.must(id, PollFlags::IN, "the server did not answer")
    }

    /// Reads the response to one request.
    pub fn receive(&mut self, id: Id) -> Result<()> {
        let mut total = 0;
        loop {
            let bytes = self.read(id)?;
            total += bytes.len();
            ensure!(
                total <= LARGEST_RESPONSE,
                "the response is larger than {LARGEST_RESPONSE} bytes; ask for a smaller page"
            );
            let Connection { responses, known_head, .. } = &mut self.connections[id.0];
            if bytes.is_empty() {
                let is_whole = responses.receive_end().is_some();
                ensure!(is_whole, "the server closed the connection within a response");
                return Ok(());
            }
            let progress = responses.receive(&bytes, false, known_head);
            match progress.map_err(|error| anyhow!("the response is not HTTP/1.1: {error}"))? {
                Progress::Whole { .. } => return Ok(()),
                Progress::Partial => {}
            }
        }
    }

    /// Reads the end of the connection, which the server closes.
    pub fn receive_end(&mut self, id: Id) -> Result<()> {
        let bytes = self.read(id)?;
        ensure!(bytes.is_empty(), "the server sent more than was asked for");
        Ok(())
    }

    /// Reads what has arrived, and waits for it; nothing is the end of the connection.
    fn read(&mut self, id: Id) -> Result<Vec<u8>> {
        self.begin(id, "recv");
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.must(id, PollFlags::IN, "the server did not answer, or did not close")?;
            match self.socket(id)?.read(&mut buffer) {
                Ok(read) => {
                    self.end(&Ok(read));
                    buffer.truncate(read);
                    return Ok(buffer);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("cannot read the response"),
            }
        }
    }

    /// Closes the sending direction.
    pub fn shut_down(&mut self, id: Id) -> Result<()> {
        self.begin(id, "shutdown");
        let outcome = self.socket(id)?.shutdown(Shutdown::Write);
        self.end(&outcome.as_ref().map(|()| 0).map_err(io::Error::kind));
        outcome.context("cannot shut down the connection")
    }

    /// Closes the connection.
    pub fn close(&mut self, id: Id) {
        self.begin(id, "close");
        self.connections[id.0].socket = None;
        self.end(&Ok(0));
    }

    /// Waits for this long, or until an interrupt.
    pub fn pause(&self, time: Duration) -> Result<()> {
        wait_for(&mut [], time, self.interrupt).map(|_| ())
    }

    fn socket(&self, id: Id) -> Result<&Socket> {
        self.connections[id.0].socket.as_ref().context("the connection is closed")
    }

    /// Waits until the socket is ready, within [`PATIENCE`].
    fn must(&self, id: Id, flags: PollFlags, otherwise: &str) -> Result<()> {
        ensure!(self.wait(id, flags, PATIENCE)?, "{otherwise} within {PATIENCE:?}");
        Ok(())
    }

    fn wait(&self, id: Id, flags: PollFlags, patience: Duration) -> Result<bool> {
        let socket = self.socket(id)?;
        wait_for(&mut [PollFd::new(socket, flags)], patience, self.interrupt)
    }

    fn begin(&mut self, id: Id, name: &str) {
        let begin_ns = now_ns();
        self.calls.push(Call {
            side: Side::Client,
            connection: Some(id.0),
            name: name.into(),
            begin_ns,
            // Until it ends, the step has no end.
            end_ns: u64::MAX,
            ended_by_ns: u64::MAX,
            result: String::new(),
        });
    }

    /// Ends the step that began last.
    fn end(&mut self, outcome: &Result<usize, ErrorKind>) {
        if let Some(call) = self.calls.last_mut() {
            finish(call, outcome);
        }
    }
}

/// Waits until one of `fds` is ready; returns false if none is within `patience`.
fn wait_for(fds: &mut [PollFd<'_>], patience: Duration, interrupt: &Interrupt) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        if interrupt.happened() {
            bail!(INTERRUPTED);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let time =
            Timespec::try_from(left.min(LOOK_FOR_INTERRUPT)).context("a time is too long")?;
        match poll(fds, Some(&time)) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error).context("cannot wait for a socket"),
        }
    }
}

fn finish(call: &mut Call, outcome: &Result<usize, ErrorKind>) {
    call.end_ns = now_ns();
    call.ended_by_ns = call.end_ns;
    call.result = result_text(outcome);
}

fn result_text(outcome: &Result<usize, ErrorKind>) -> String {
    match outcome {
        Ok(number) => number.to_string(),
        Err(kind) => format!("-1 {kind}"),
    }
}

/// True if a connection is being opened, which a socket that does not block reports as an error.
fn is_under_way(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
        || error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error())
}

/// Returns the own address from which packets to `server` are sent. The socket that finds it sends
/// none.
fn source_for(server: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    Ok(socket.local_addr()?.ip())
}
