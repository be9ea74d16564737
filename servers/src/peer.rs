//! A non-blocking socket with its HTTP state: what all models with many connections on one thread share.

use std::io::{self, Read};
use std::net::{self, TcpStream};
use std::time::Instant;

use crate::blocking::write_pending;
use crate::http::{Connection, Job, Reply, Service, Want};

/// Writes to one connection before the others have their turn; with the kernel's default buffers that is about 1 MiB.
const WRITES_PER_TURN: usize = 4;

/// One connection of an event loop.
#[derive(Debug)]
pub struct Peer {
    pub stream: TcpStream,
    connection: Connection,
    /// Whether the last read took all there was, as far as that can be told without another one.
    drained: bool,
    /// Whether the client has sent its last octet, and the end is still to be read.
    ends: bool,
}

/// What a peer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    Readable,
    Writable,
    /// Its handler, and what comes meanwhile is none of the loop's business.
    Nothing,
}

/// What comes after the turn of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The kernel has to say that the socket is ready for it.
    Wait(Interest),
    /// The same, but it may well be ready: it is only the turn of others.
    Again(Interest),
    /// Its handler waits until that time; then [`Peer::go_on`].
    Timer(Instant),
    /// [`Peer::take_job`] has a job to be run, or the reply to it has to come first.
    Job,
    /// It is to be dropped.
    Close,
}

impl Peer {
    pub fn new(stream: TcpStream, service: &Service) -> Self {
        Self { stream, connection: Connection::new(service.now()), drained: true, ends: false }
    }

    /// Whether no request is under way on it.
    pub fn is_idle(&self) -> bool {
        self.connection.is_idle()
    }

    /// Takes the news that the client will send no more than what there is to be read.
    pub fn expect_end(&mut self) {
        self.ends = true;
    }

    /// Does what can be done without waiting, at most one read and a few writes; errors of the socket close it.
    pub fn turn(&mut self, service: &mut Service, buffer: &mut [u8]) -> Next {
        self.read(service, buffer).and_then(|()| self.write(service)).unwrap_or(Next::Close)
    }

    /// Whether it has waited for its client for too long.
    pub fn is_overdue(&self, service: &Service) -> bool {
        self.connection.deadline(service).is_some_and(|deadline| deadline <= service.now())
    }

    /// Tells the client that it took too long, as far as there is something to tell.
    pub fn time_out(&mut self, service: &mut Service) -> Next {
        self.connection.time_out(service);
        self.go_on(service)
    }

    /// The job that [`Next::Job`] is about, once.
    pub fn take_job(&mut self) -> Option<Job> {
        self.connection.take_job()
    }

    /// Goes on with the reply to its job.
    pub fn finish_job(&mut self, reply: &Reply<'_>, service: &mut Service) -> Next {
        self.connection.finish_job(reply, service);
        self.go_on(service)
    }

    /// Goes on with a connection whose time has come, as far as that is without reading.
    pub fn go_on(&mut self, service: &mut Service) -> Next {
        self.write(service).unwrap_or(Next::Close)
    }

    /// Tells the client that its handler can't be waited for.
    pub fn refuse_wait(&mut self, service: &mut Service) -> Next {
        self.connection.refuse_wait(service);
        self.go_on(service)
    }

    fn read(&mut self, service: &mut Service, buffer: &mut [u8]) -> io::Result<()> {
        if self.connection.want() != Want::Read {
            // What has come meanwhile is still there.
            self.drained = false;
            return Ok(());
        }
        match ready((&self.stream).read(buffer))? {
            None => self.drained = true,
            Some(0) => self.connection.receive_end(),
            Some(read) => {
                // A read that had room for more has taken all of it (epoll(7)), except for the end behind it.
                self.drained = read < buffer.len() && !self.ends;
                self.connection.receive(&buffer[..read], service);
            }
        }
        Ok(())
    }

    fn write(&mut self, service: &mut Service) -> io::Result<Next> {
        for _ in 0..WRITES_PER_TURN {
            match self.connection.want() {
                Want::Write => match ready(write_pending(&self.stream, &self.connection))? {
                    None => return Ok(Next::Wait(Interest::Writable)),
                    Some(written) => self.connection.advance(written, service),
                },
                Want::ShutdownWrite => {
                    self.stream.shutdown(net::Shutdown::Write)?;
                    self.connection.write_side_is_shut(service);
                }
                Want::WaitUntil(until) if until <= service.now() => self.connection.finish_wait(service),
                _ => break,
            }
        }
        Ok(match self.connection.want() {
            Want::Read if self.drained => Next::Wait(Interest::Readable),
            Want::Read => Next::Again(Interest::Readable),
            Want::Write | Want::ShutdownWrite => Next::Again(Interest::Writable),
            Want::WaitUntil(until) => Next::Timer(until),
            Want::RunJob | Want::Reply => Next::Job,
            Want::Close => Next::Close,
        })
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
