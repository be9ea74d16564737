//! One request and its response on a socket: written, read and checked.

use std::io::{self, Read, Write};

use super::pending::PendingRequest;
use super::slot::{Slot, State};
use crate::clock::Clock;
use crate::connection::{Connection, Head, KnownHead, Progress, ProtocolError, Reason};
use crate::measurement::Bytes;
use crate::plan::Plan;

/// Most reads from one connection, 4 MiB together, before the worker looks at other connections and
/// the clock.
const READS_PER_EVENT: usize = 64;

/// Failure of a request.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection broke off with an error; without one, the server closed it.
    Reset(Option<io::Error>),
    Timeout,
    Protocol(ProtocolError),
}

/// Result of an attempt to send a request.
#[derive(Debug)]
pub(super) enum Sent {
    /// There is no connection yet.
    Nothing,
    /// The request is sent, or as much of it as fits into the socket's buffer. If this was its
    /// beginning, and only the generator has delayed it, it is returned: it arrives now.
    UnderWay {
        arrived: Option<PendingRequest>,
    },
    Failed(io::Error),
}

/// Result of reading the available part of a response.
#[derive(Debug)]
pub(super) enum Received {
    /// The response is not complete; an event will follow.
    Partial,
    /// The response is not complete, and the socket may have more data.
    Unread,
    /// The response is complete. `is_closed` says that the server has closed its side.
    Whole {
        head: Head,
        is_closed: bool,
        now: u64,
    },
    Failed {
        failure: Failure,
        now: u64,
    },
}

/// Bytes of the requests of a worker, and the last head of a response.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Bytes of a request, and of the last request of a connection.
    request: Vec<u8>,
    last_request: Vec<u8>,
    /// True if the method is HEAD, whose responses have no body.
    is_head: bool,
    known_head: KnownHead,
}

impl Exchange {
    pub fn new(plan: &Plan) -> Self {
        let workload = &plan.workload;
        Self {
            request: plan.target.render(&workload.request, false),
            last_request: plan.target.render(&workload.request, workload.asks_to_close()),
            is_head: workload.request.method == "HEAD",
            known_head: KnownHead::default(),
        }
    }

    /// Returns the bytes of a request that is not the last one of its connection.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Returns the bytes of the next request of a connection.
    fn request_of(&self, slot: &Slot) -> &[u8] {
        if slot.is_at_last_request() { &self.last_request } else { &self.request }
    }

    /// Returns true if a part of the slot's request is not sent yet.
    pub fn goes_on(&self, slot: &Slot) -> bool {
        slot.pending.is_some_and(|pending| pending.written < self.request_of(slot).len())
    }

    /// Returns the name of the request's kind, if the response gives one.
    pub fn kind(&self, head: Head) -> Option<&str> {
        head.kind.map(|kind| self.known_head.kind(kind))
    }

    /// Returns the length of the body of the slot's last response, if the response should have a
    /// body.
    pub fn body_bytes(&self, slot: &Slot, head: Head) -> Option<u64> {
        (head.has_body() && !self.is_head).then(|| slot.response.body_bytes())
    }

    /// Sends the slot's request, or the rest of it, and adds its bytes to `bytes`.
    pub fn send(&self, slot: &mut Slot, now: u64, bytes: &mut Bytes) -> Sent {
        let request = self.request_of(slot);
        let is_connecting = slot.state == State::Connecting;
        let (Some(socket), Some(pending)) = (&mut slot.socket, &mut slot.pending) else {
            return Sent::Nothing;
        };
        let written = match socket.write(&request[pending.written..]) {
            Ok(written) => written,
            // Not connected yet, or the socket's buffer is full: an event will follow.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => {
                if !is_connecting {
                    pending.sent = now;
                }
                return Sent::Failed(error);
            }
        };
        if is_connecting && written == 0 {
            return Sent::Nothing;
        }
        let begins = pending.written == 0;
        if begins {
            pending.sent = now;
        }
        pending.written += written;
        bytes.written += written as u64;
        Sent::UnderWay { arrived: (begins && pending.lag_is_open).then_some(*pending) }
    }

    /// Reads until the response is complete or the socket is empty, and adds the bytes to `bytes`.
    /// `ending` says that the server has closed its side, so that a read will return the end of the
    /// stream.
    pub fn receive(
        &mut self,
        slot: &mut Slot,
        ending: bool,
        buffer: &mut [u8],
        clock: Clock,
        bytes: &mut Bytes,
    ) -> Received {
        for _ in 0..READS_PER_EVENT {
            let Some(socket) = &mut slot.socket else { return Received::Partial };
            let read = match socket.read(buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Received::Partial;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Received::Failed {
                        failure: Failure::Reset(Some(error)),
                        now: clock.now(),
                    };
                }
            };
            let now = clock.now();
            if read == 0 {
                return match slot.response.receive_end() {
                    Some(head) => Received::Whole { head, is_closed: true, now },
                    None => Received::Failed { failure: Failure::Reset(None), now },
                };
            }
            bytes.read += read as u64;
            if let Some(pending) = &mut slot.pending {
                pending.first_byte.get_or_insert(now);
            }
            match self.take(&mut slot.response, &buffer[..read]) {
                Ok(Progress::Whole { head, consumed }) if consumed == read => {
                    return Received::Whole { head, is_closed: ending, now };
                }
                // Edge-triggered: a short read has emptied the socket, and an event will follow.
                Ok(Progress::Partial) if read < buffer.len() && !ending => {
                    return Received::Partial;
                }
                Ok(Progress::Partial) => {}
                Ok(Progress::Whole { consumed, .. }) => {
                    let excess = ProtocolError::new(Reason::Excess, &buffer[consumed..read]);
                    return Received::Failed { failure: Failure::Protocol(excess), now };
                }
                Err(error) => return Received::Failed { failure: Failure::Protocol(error), now },
            }
        }
        Received::Unread
    }

    /// Adds bytes to a response.
    pub fn take(
        &mut self,
        response: &mut Connection,
        bytes: &[u8],
    ) -> Result<Progress, ProtocolError> {
        response.receive(bytes, self.is_head, &mut self.known_head)
    }
}
