//! One request and its response: written, read, checked, timed, or given up.

use std::io::{self, Read, Write};

use rustix::event::epoll;

use super::Worker;
use super::pending::PendingRequest;
use super::slot::State;
use crate::clock::nanos;
use crate::connection::{Head, Progress, ProtocolError, Reason};

/// Reads from one connection, 4 MiB together, before other connections and the clock are looked at.
const READS_PER_EVENT: usize = 64;

/// Failure of a request.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection broke off with an error; without one, the server closed it.
    Reset(Option<io::Error>),
    Timeout,
    Protocol(ProtocolError),
}

impl Worker {
    pub(super) fn on_event(&mut self, event: epoll::Event, buffer: &mut [u8]) {
        use epoll::EventFlags as Flags;
        let (data, flags) = (event.data.u64(), event.flags);
        if self.lingering.take_event(data) {
            return;
        }
        let key = data as usize;
        let slot = &self.slots[key];
        let ending = flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR);
        match slot.state {
            State::Connecting if flags.intersects(Flags::ERR | Flags::HUP) => {
                let error = slot.socket.as_ref().and_then(|socket| socket.take_error().ok().flatten());
                let error = error.unwrap_or_else(|| io::ErrorKind::ConnectionAborted.into());
                self.connect_failed(key, error, self.plan.clock.now());
            }
            State::Connecting if slot.pending.is_some() => self.send(key, self.plan.clock.now()),
            State::Connecting => {
                let now = self.plan.clock.now();
                self.established(key, now);
                self.next(key, now);
            }
            State::Waiting => {
                if flags.contains(Flags::OUT) && self.request_goes_on(key) {
                    self.send(key, self.plan.clock.now());
                }
                if flags.contains(Flags::IN) || ending {
                    self.receive(key, ending, buffer);
                }
            }
            // The server closed a connection without a request. A new one is made, at once or when
            // a request needs it.
            State::Free if ending => {
                self.slots[key].socket = None;
                self.next(key, self.plan.clock.now());
            }
            State::Held if ending => self.slots[key].socket = None,
            State::Closed | State::Free | State::Held | State::Done => {}
        }
    }

    /// Sends the slot's request, or what is left of it.
    pub(super) fn send(&mut self, key: usize, now: u64) {
        let slot = &mut self.slots[key];
        let request = if slot.left == 1 { &self.last_request } else { &self.request };
        let (Some(socket), Some(pending)) = (&mut slot.socket, &mut slot.pending) else { return };
        let written = match socket.write(&request[pending.written..]) {
            Ok(written) => written,
            // Not connected yet, or the socket's buffer is full: an event will follow.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) if slot.state == State::Connecting => return self.connect_failed(key, error, now),
            Err(error) => {
                pending.sent = now;
                return self.fail(key, &Failure::Reset(Some(error)), now);
            }
        };
        if slot.state == State::Connecting && written == 0 {
            return;
        }
        let begins = pending.written == 0;
        if begins {
            pending.sent = now;
        }
        pending.written += written;
        let is_connecting = slot.state == State::Connecting;
        let arrived = (begins && pending.lag_is_open).then_some(*pending);
        self.recording.bytes().written += written as u64;
        if let Some(pending) = arrived {
            self.recording.note_send(pending, now);
        }
        if is_connecting {
            self.established(key, now);
        }
        self.slots[key].state = State::Waiting;
    }

    pub(super) fn request_goes_on(&self, key: usize) -> bool {
        let slot = &self.slots[key];
        let request = if slot.left == 1 { &self.last_request } else { &self.request };
        slot.pending.is_some_and(|pending| pending.written < request.len())
    }

    /// Reads until the response is complete or the socket is empty. `ending` says that the server
    /// has closed its side, so that a read will return the end of the stream.
    pub(super) fn receive(&mut self, key: usize, ending: bool, buffer: &mut [u8]) {
        let to_head = self.is_head;
        for _ in 0..READS_PER_EVENT {
            let slot = &mut self.slots[key];
            let Some(socket) = &mut slot.socket else { return };
            let read = match socket.read(buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return self.fail(key, &Failure::Reset(Some(error)), self.plan.clock.now()),
            };
            let now = self.plan.clock.now();
            if read == 0 {
                return match slot.response.receive_end() {
                    Some(head) => self.answered(key, head, true, now),
                    None => self.fail(key, &Failure::Reset(None), now),
                };
            }
            self.recording.bytes().read += read as u64;
            if let Some(pending) = &mut slot.pending {
                pending.first_byte.get_or_insert(now);
            }
            match slot.response.receive(&buffer[..read], to_head, &mut self.known_head) {
                Ok(Progress::Whole { head, consumed }) if consumed == read => {
                    return self.answered(key, head, ending, now);
                }
                // Edge-triggered: a short read has emptied the socket, and an event will follow.
                Ok(Progress::Partial) if read < buffer.len() && !ending => return,
                Ok(Progress::Partial) => {}
                Ok(Progress::Whole { consumed, .. }) => {
                    let excess = ProtocolError::new(Reason::Excess, &buffer[consumed..read]);
                    return self.fail(key, &Failure::Protocol(excess), now);
                }
                Err(error) => return self.fail(key, &Failure::Protocol(error), now),
            }
        }
        self.look_again(key);
    }

    pub(super) fn answered(&mut self, key: usize, head: Head, server_closed: bool, now: u64) {
        self.cross_boundaries(now);
        let Some(pending) = self.slots[key].pending else { return };
        if now >= pending.sent + nanos(self.plan.workload.timeout) {
            // The response came after the timeout, and before the next scan for timeouts.
            return self.fail(key, &Failure::Timeout, now);
        }
        self.recording.note_if_late(&self.plan, pending, now);
        self.note_response(now);
        let slot = &mut self.slots[key];
        slot.was_answered = true;
        if self.plan.is_counted(pending.has_ticket, now, self.recording.window()) {
            let body_bytes = (head.has_body() && !self.is_head).then(|| slot.response.body_bytes());
            let kind = head.kind.map(|kind| self.known_head.kind(kind));
            self.recording.record_response(slot, pending, head, body_bytes, kind, now);
        }
        // The server answered before the whole request was sent, and will not read the rest.
        let was_cut =
            pending.written < if slot.left == 1 { self.last_request.len() } else { self.request.len() };
        slot.left -= 1;
        let closes = slot.left == 0 && !self.plan.workload.asks_to_close();
        if server_closed || was_cut || closes {
            slot.socket = None;
        } else if slot.left == 0 || !head.keep_alive {
            self.linger(key, now);
        }
        self.next(key, now);
    }

    /// Records the time since the previous response, if it is long.
    fn note_response(&mut self, now: u64) {
        if self.pauses.is_long(now) {
            self.end_pause(now);
        }
        self.pauses.note_response(now);
    }

    /// Records the time since the last response, as far as a request waited in it. A closed loop
    /// always has a request that waits for a response or a connection; an open loop may have none.
    pub(super) fn end_pause(&mut self, end: u64) {
        let waiting_since = if self.pacer.is_open() {
            let sent = self.slots.iter().filter_map(|slot| slot.pending).map(|pending| pending.intended);
            sent.chain(self.pacer.backlog().next()).min()
        } else {
            Some(0)
        };
        self.pauses.end_pause(end, waiting_since);
    }

    pub(super) fn fail(&mut self, key: usize, failure: &Failure, now: u64) {
        self.cross_boundaries(now);
        if let Some(pending) = self.slots[key].pending {
            self.recording.note_if_late(&self.plan, pending, now);
            self.pauses.note_failure(pending.intended);
        }
        let slot = &mut self.slots[key];
        slot.socket = None;
        let window = self.recording.window();
        let is_counted = |pending: &PendingRequest| self.plan.is_counted(pending.has_ticket, now, window);
        if let Some(pending) = slot.pending.filter(is_counted) {
            let request_bytes = self.request.len();
            self.recording.record_failure(&self.plan, slot.address, request_bytes, pending, failure, now);
        }
        self.next(key, now);
    }

    /// Gives up requests, connects and closes that take longer than the timeout, in one pass over
    /// all connections.
    pub(super) fn expire(&mut self, now: u64) {
        let timeout = nanos(self.plan.workload.timeout);
        for key in 0..self.slots.len() {
            let slot = &self.slots[key];
            match slot.state {
                State::Waiting if slot.pending.is_some_and(|pending| now >= pending.sent + timeout) => {
                    self.fail(key, &Failure::Timeout, now);
                }
                State::Connecting if now >= slot.connect_began + timeout => {
                    self.connect_failed(key, io::ErrorKind::TimedOut.into(), now);
                }
                _ => {}
            }
        }
        self.lingering.expire(now);
    }
}
