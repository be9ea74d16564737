//! Path of a request through the parts of a worker: it is given to a connection, which may have to
//! be opened for it, it is sent, and it is answered or fails.
//!
//! In a closed loop, a request begins right after the previous response; in an open loop, the
//! schedule begins it.

use std::io;

use rustix::event::epoll;

use super::Worker;
use super::exchange::{Failure, Received, Sent};
use super::pending::PendingRequest;
use super::slot::State;
use crate::clock::nanos;
use crate::connection::Head;
use crate::recorder::Age;
use crate::workload::Lifetime;

/// Most requests that a worker takes from the schedule before it handles responses and checks the
/// clock and the end of the run: at a high rate the worker would otherwise do nothing else.
const MAX_DISPATCHED: usize = 1024;

/// Events that a socket is registered for, once for its whole life.
const EVERYTHING: epoll::EventFlags = epoll::EventFlags::IN
    .union(epoll::EventFlags::OUT)
    .union(epoll::EventFlags::RDHUP)
    .union(epoll::EventFlags::ET);

impl Worker {
    /// Gives a free slot its next request, which is sent as soon as there is a connection.
    pub(super) fn next(&mut self, key: usize, now: u64) {
        if self.pacer.is_open() {
            return self.next_of_backlog(key, now);
        }
        if !self.start_up.is_over() && self.slots[key].was_answered {
            self.slots[key].pending = None;
            self.slots[key].state = State::Held;
            return;
        }
        let (begin, end) = self.recording.window();
        let measured = now >= begin;
        let is_over = now >= end || self.plan.is_told();
        let over = is_over || (measured && !self.plan.take_ticket());
        if over {
            self.slots[key].pending = None;
            self.slots[key].state = State::Done;
            return;
        }
        let pending =
            PendingRequest { intended: now, has_ticket: measured, ..PendingRequest::default() };
        self.begin(key, pending, now);
    }

    /// Gives a connection a request, which is sent at once, or as soon as the connection is made.
    fn begin(&mut self, key: usize, pending: PendingRequest, now: u64) {
        let slot = &mut self.slots[key];
        slot.asked += u64::from(pending.has_ticket);
        if slot.socket.is_some() {
            slot.pending = Some(pending);
            return self.send(key, now);
        }
        // A request that was due earlier, and finds this connection free, has waited for the
        // generator since then.
        let since = if pending.lag_is_open { pending.intended } else { now };
        slot.pending = Some(PendingRequest { lacks_connection_since: Some(since), ..pending });
        slot.state = State::Closed;
        self.connecting.push(key);
    }

    /// Gives a free slot of an open loop the request that has waited longest, or lets the slot wait
    /// for the schedule.
    fn next_of_backlog(&mut self, key: usize, now: u64) {
        if let Some(intended) = self.pacer.pop_backlog() {
            return self.begin(key, self.backlogged(intended), now);
        }
        let slot = &mut self.slots[key];
        slot.pending = None;
        if slot.socket.is_some() || self.plan.workload.lifetime != Lifetime::Persistent {
            // A connection with a limited lifetime is made when a request needs it; the connect is
            // part of that latency.
            slot.state = State::Free;
            self.pacer.push_free(key);
        } else {
            slot.state = State::Closed;
            self.connecting.push(key);
        }
    }

    /// Returns a request that has waited in the backlog.
    pub(super) fn backlogged(&self, intended: u64) -> PendingRequest {
        PendingRequest {
            intended,
            has_ticket: intended >= self.recording.window().0,
            ..PendingRequest::default()
        }
    }

    /// Sends the requests of an open loop that are due; a request that finds no connection free
    /// waits in the backlog. Returns the number of requests that were due.
    pub(super) fn dispatch_due(&mut self) -> usize {
        let (begin, end) = self.recording.window();
        let mut dispatched = 0;
        while self.pacer.next_wake() != u64::MAX && dispatched < MAX_DISPATCHED {
            let now = self.plan.clock.now();
            let intended = self.pacer.next_due();
            if intended > now {
                break;
            }
            let measured = intended >= begin;
            if intended >= end || (measured && !self.plan.take_ticket()) {
                self.pacer.stop();
                break;
            }
            if measured {
                self.recording.forget_warm_up();
            }
            dispatched += 1;
            self.pacer.advance(measured);
            let pending = PendingRequest {
                intended,
                has_ticket: measured,
                lag_is_open: true,
                ..PendingRequest::default()
            };
            if let Some(key) = self.pacer.pop_free(&self.slots) {
                self.begin(key, pending, now);
            } else {
                // The request waits for a connection and not for the generator, so it arrives now.
                self.recording.note_arrival(pending, now);
                self.pacer.push_backlog(intended);
            }
        }
        dispatched
    }

    /// Reports requests that were due before the end and never sent. Returns the ages of those that
    /// do not fit into the backlog.
    pub(super) fn miss_due(&mut self, end: u64, now: u64) -> Vec<Age> {
        // Send lag is the lateness of requests for which a connection was free.
        let had_free = self.slots.iter().any(|slot| slot.state == State::Free);
        let window = (self.recording.window().0, end);
        self.pacer.miss_due(&self.plan, window, now, |lag, count| {
            if had_free {
                self.recording.note_lag(lag, count);
            }
        })
    }

    /// Opens queued connections.
    pub(super) fn open_due(&mut self, now: u64) {
        while self.connecting.may_open(self.start_up.is_ready())
            && !self.plan.is_stopped()
            && self.dialer.take_turn(now)
        {
            let Some(key) = self.connecting.begin() else { return };
            self.open(key, now);
        }
    }

    /// Begins to open a connection, and sends its request if that is already possible.
    fn open(&mut self, key: usize, now: u64) {
        // Not `now`: other connections may have been opened since then.
        let began = self.plan.clock.now();
        let socket = self.dialer.connect(&self.plan.target.addresses).and_then(|socket| {
            self.poller.add(&socket, key as u64, EVERYTHING)?;
            Ok(socket)
        });
        let slot = &mut self.slots[key];
        if let Some(pending) = &mut slot.pending {
            if std::mem::take(&mut pending.lag_is_open) {
                self.recording.note_send(*pending, began);
            }
            // Only for the first attempt: the generator does not cause the time of a failed
            // attempt.
            if let Some(since) = pending.lacks_connection_since.take() {
                pending.connect_wait = Some(began.saturating_sub(since));
            }
        }
        // Before the slot changes its address, so that a request costs nothing.
        self.shares[slot.address].requests += slot.take_good_responses();
        slot.begin_connect(self.dialer.address(), self.plan.workload.lifetime, began);
        match socket {
            Ok(socket) => slot.socket = Some(socket),
            Err(error) => return self.connect_failed(key, error, now),
        }
        if slot.pending.is_some() {
            // On loopback the handshake is over by now, so the send succeeds; elsewhere an event
            // will follow.
            self.send(key, self.plan.clock.now());
        }
    }

    /// Makes epoll report a socket again if some of its data was not read. Edge-triggered epoll
    /// does not do so by itself.
    fn look_again(&self, key: usize) {
        if let Some(socket) = &self.slots[key].socket {
            let _ = self.poller.modify(socket, key as u64, EVERYTHING);
        }
    }

    /// Records that a connection could not be made; it is tried again later.
    fn connect_failed(&mut self, key: usize, error: io::Error, now: u64) {
        let slot = &mut self.slots[key];
        let failures = slot.connect_failed();
        self.recording.record_connect_failure(&self.plan, slot.address, &error);
        self.connecting.note_failure(key, slot.connect_began, failures, error, now);
    }

    /// Notes that a connection was established.
    fn established(&mut self, key: usize, now: u64) {
        let slot = &mut self.slots[key];
        slot.established(now);
        self.shares[slot.address].connections += 1;
        self.connecting.note_established();
    }

    /// Leaves it to the server to close the connection.
    fn linger(&mut self, key: usize, now: u64) {
        if let Some(socket) = self.slots[key].socket.take() {
            self.lingering.push(socket, &self.poller, now);
        }
    }

    /// Continues with the connection that an event is for.
    pub(super) fn on_event(&mut self, event: epoll::Event, buffer: &mut [u8]) {
        use epoll::EventFlags as Flags;
        let data = event.data.u64();
        if self.lingering.take_event(data) {
            return;
        }
        let key = data as usize;
        let flags = event.flags;
        let slot = &self.slots[key];
        let ending = flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR);
        match slot.state {
            State::Connecting if flags.intersects(Flags::ERR | Flags::HUP) => {
                let error =
                    slot.socket.as_ref().and_then(|socket| socket.take_error().ok().flatten());
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
                if flags.contains(Flags::OUT) && self.exchange.goes_on(slot) {
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

    /// Sends the slot's request, or the rest of it.
    fn send(&mut self, key: usize, now: u64) {
        let slot = &mut self.slots[key];
        let was_connecting = slot.state == State::Connecting;
        match self.exchange.send(slot, now, self.recording.bytes()) {
            Sent::Nothing => {}
            Sent::UnderWay { arrived } => {
                if let Some(pending) = arrived {
                    self.recording.note_send(pending, now);
                }
                if was_connecting {
                    self.established(key, now);
                }
                self.slots[key].state = State::Waiting;
            }
            Sent::Failed(error) if was_connecting => self.connect_failed(key, error, now),
            Sent::Failed(error) => self.fail(key, &Failure::Reset(Some(error)), now),
        }
    }

    /// Reads the available part of the slot's response. `ending` says that the server has closed
    /// its side.
    fn receive(&mut self, key: usize, ending: bool, buffer: &mut [u8]) {
        let slot = &mut self.slots[key];
        let clock = self.plan.clock;
        match self.exchange.receive(slot, ending, buffer, clock, self.recording.bytes()) {
            Received::Partial => {}
            Received::Unread => self.look_again(key),
            Received::Whole { head, is_closed, now } => self.answered(key, head, is_closed, now),
            Received::Failed { failure, now } => self.fail(key, &failure, now),
        }
    }

    /// Records a response, and gives the connection its next request. `server_closed` says that the
    /// server has closed its side.
    fn answered(&mut self, key: usize, head: Head, server_closed: bool, now: u64) {
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
            let body_bytes = self.exchange.body_bytes(slot, head);
            let kind = self.exchange.kind(head);
            self.recording.record_response(slot, pending, head, body_bytes, kind, now);
        }
        // The server answered before the whole request was sent, and will not read the rest.
        let was_cut = self.exchange.goes_on(slot);
        let is_spent = slot.spend_request();
        let closes = is_spent && !self.plan.workload.asks_to_close();
        if server_closed || was_cut || closes {
            slot.socket = None;
        } else if is_spent || !head.keep_alive {
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

    /// Records the time since the last response, for as long as a request waited in it. A closed
    /// loop always has a request that waits for a response or a connection; an open loop may have
    /// none.
    pub(super) fn end_pause(&mut self, end: u64) {
        let waiting_since = if self.pacer.is_open() {
            let sent =
                self.slots.iter().filter_map(|slot| slot.pending).map(|pending| pending.intended);
            sent.chain(self.pacer.backlog().next()).min()
        } else {
            Some(0)
        };
        self.pauses.end_pause(end, waiting_since);
    }

    /// Records the failure of a request, and gives the connection its next one.
    fn fail(&mut self, key: usize, failure: &Failure, now: u64) {
        self.cross_boundaries(now);
        if let Some(pending) = self.slots[key].pending {
            self.recording.note_if_late(&self.plan, pending, now);
            self.pauses.note_failure(pending.intended);
        }
        let slot = &mut self.slots[key];
        slot.socket = None;
        let window = self.recording.window();
        let is_counted =
            |pending: &PendingRequest| self.plan.is_counted(pending.has_ticket, now, window);
        if let Some(pending) = slot.pending.filter(is_counted) {
            let request_bytes = self.exchange.request().len();
            self.recording.record_failure(
                &self.plan,
                slot.address,
                request_bytes,
                pending,
                failure,
                now,
            );
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
                State::Waiting
                    if slot.pending.is_some_and(|pending| now >= pending.sent + timeout) =>
                {
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
