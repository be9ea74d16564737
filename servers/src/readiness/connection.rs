//! Connection with a non-blocking socket, shared by all models with many connections per thread
//! that are told which sockets are ready.

use std::io::{self, Read};
use std::net::{self, TcpStream};
use std::time::Instant;

use crate::blocking::connection::write_pending;
use crate::http::{Connection, Job, Reply, Service, Want};

/// Most writes to one connection per turn, so that the other connections get theirs; about 1 MiB
/// with the kernel's default buffers.
const WRITES_PER_TURN: usize = 4;

/// Non-blocking socket with its HTTP state.
#[derive(Debug)]
pub struct NonBlockingConnection {
    pub stream: TcpStream,
    http: Connection,
    /// True if the last read seems to have emptied the socket; only another read could tell for
    /// certain.
    drained: bool,
    /// True if the client has sent its last byte, and the end of the stream is still to be read.
    ends: bool,
}

/// Socket readiness that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    Readable,
    Writable,
    /// No readiness: the handler of the connection is waiting, and the loop ignores the socket
    /// meanwhile.
    Nothing,
}

/// Next action of the loop after a connection's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Wait until the kernel reports that the socket is ready for this.
    Wait(Interest),
    /// Take another turn after the other connections: the socket may be ready for this already.
    Again(Interest),
    /// Wait until this time, because the handler waits; then call [`NonBlockingConnection::go_on`].
    Timer(Instant),
    /// Run the job of [`NonBlockingConnection::take_job`]; if it returns `None`, the reply to an
    /// earlier job is still to come.
    Job,
    /// Drop the connection.
    Close,
}

impl NonBlockingConnection {
    pub fn new(stream: TcpStream, service: &Service) -> Self {
        Self { stream, http: Connection::new(service.now()), drained: true, ends: false }
    }

    /// Returns true if no request is in progress on the connection.
    pub fn is_idle(&self) -> bool {
        self.http.is_idle()
    }

    /// Notes that the client will send nothing beyond what is waiting to be read.
    pub fn expect_end(&mut self) {
        self.ends = true;
    }

    /// Does what is possible without waiting: at most one read and a few writes. A socket error
    /// closes the connection.
    pub fn turn(&mut self, service: &mut Service, buffer: &mut [u8]) -> Next {
        self.read(service, buffer).and_then(|()| self.write(service)).unwrap_or(Next::Close)
    }

    /// Returns true if the connection has waited too long for its client.
    pub fn is_overdue(&self, service: &Service) -> bool {
        self.http.deadline(service).is_some_and(|deadline| deadline <= service.now())
    }

    /// Ends the connection because its client took too long; a client in the middle of a request
    /// gets a response first.
    pub fn time_out(&mut self, service: &mut Service) -> Next {
        self.http.time_out(service);
        self.go_on(service)
    }

    /// Returns the job that [`Next::Job`] announces; a second call returns `None`.
    pub fn take_job(&mut self) -> Option<Job> {
        self.http.take_job()
    }

    /// Continues with the reply to the connection's job.
    pub fn finish_job(&mut self, reply: &Reply<'_>, service: &mut Service) -> Next {
        self.http.finish_job(reply, service);
        self.go_on(service)
    }

    /// Continues a connection after a wait, as far as possible without reading.
    pub fn go_on(&mut self, service: &mut Service) -> Next {
        self.write(service).unwrap_or(Next::Close)
    }

    fn read(&mut self, service: &mut Service, buffer: &mut [u8]) -> io::Result<()> {
        if self.http.want() != Want::Read {
            // Data that has arrived meanwhile is still unread.
            self.drained = false;
            return Ok(());
        }
        match ready((&self.stream).read(buffer))? {
            None => self.drained = true,
            Some(0) => self.http.receive_end(),
            Some(read) => {
                // A read that did not fill the buffer has taken all data (epoll(7)), but not the
                // end of the stream behind it.
                self.drained = read < buffer.len() && !self.ends;
                self.http.receive(&buffer[..read], service);
            }
        }
        Ok(())
    }

    fn write(&mut self, service: &mut Service) -> io::Result<Next> {
        for _ in 0..WRITES_PER_TURN {
            match self.http.want() {
                Want::Write => match ready(write_pending(&self.stream, &self.http))? {
                    None => return Ok(Next::Wait(Interest::Writable)),
                    Some(written) => self.http.advance(written, service),
                },
                Want::ShutdownWrite => {
                    self.stream.shutdown(net::Shutdown::Write)?;
                    self.http.write_side_is_shut(service);
                }
                Want::WaitUntil(until) if until <= service.now() => self.http.finish_wait(service),
                _ => break,
            }
        }
        Ok(match self.http.want() {
            Want::Read if self.drained => Next::Wait(Interest::Readable),
            Want::Read => Next::Again(Interest::Readable),
            Want::Write | Want::ShutdownWrite => Next::Again(Interest::Writable),
            Want::WaitUntil(until) => Next::Timer(until),
            Want::RunJob | Want::Reply => Next::Job,
            Want::Close => Next::Close,
        })
    }
}

/// Returns `None` if the call would have to wait or was interrupted.
fn ready(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
