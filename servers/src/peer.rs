//! A non-blocking socket with its HTTP state: what all models with many connections on one thread share.

use std::io::{self, Read};
use std::net::{self, TcpStream};
use std::time::{Duration, Instant};

use crate::DRAIN_TIME;
use crate::blocking::write_pending;
use crate::http::{Connection, Service, Want};

/// Writes to one connection before the others have their turn; with the kernel's default buffers that is about 1 MiB.
const WRITES_PER_TURN: usize = 4;

/// One connection of an event loop.
#[derive(Debug)]
pub struct Peer {
    pub stream: TcpStream,
    connection: Connection,
}

/// What a peer waits for after its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Readable,
    Writable,
    Closed,
}

impl Peer {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, connection: Connection::default() }
    }

    /// Whether no request is under way on it.
    pub fn is_idle(&self) -> bool {
        self.connection.is_idle()
    }

    /// Does what can be done without waiting, at most one read and a few writes; errors of the socket close it.
    pub fn turn(&mut self, service: &mut Service, buffer: &mut [u8]) -> Next {
        self.try_turn(service, buffer).unwrap_or(Next::Closed)
    }

    fn try_turn(&mut self, service: &mut Service, buffer: &mut [u8]) -> io::Result<Next> {
        if self.connection.want() == Want::Read {
            match ready((&self.stream).read(buffer))? {
                None => return Ok(Next::Readable),
                Some(0) => self.connection.receive_end(),
                Some(read) => self.connection.receive(&buffer[..read], service),
            }
        }
        for _ in 0..WRITES_PER_TURN {
            match self.connection.want() {
                Want::Read => return Ok(Next::Readable),
                Want::Write => match ready(write_pending(&self.stream, &self.connection))? {
                    None => return Ok(Next::Writable),
                    Some(written) => self.connection.advance(written, service),
                },
                Want::ShutdownWrite => {
                    self.stream.shutdown(net::Shutdown::Write)?;
                    self.connection.write_side_is_shut();
                }
                Want::Close => return Ok(Next::Closed),
            }
        }
        Ok(match self.connection.want() {
            Want::Read => Next::Readable,
            Want::Write | Want::ShutdownWrite => Next::Writable,
            Want::Close => Next::Closed,
        })
    }
}

/// The time between a stop signal and the end of an event loop, in which requests in flight are finished.
#[derive(Debug)]
pub struct Drain {
    deadline: Instant,
}

impl Drain {
    /// From now on every answer ends its connection.
    pub fn begin(service: &mut Service) -> Self {
        service.close_after_answers();
        Self { deadline: Instant::now() + DRAIN_TIME }
    }

    /// What is left of the time.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// `None` when the call would have to wait.
fn ready(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
