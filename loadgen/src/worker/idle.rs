//! Idle connections: each is opened, sends one request, reads its response, and is then only held,
//! like the connection of a client that pauses.
//!
//! All of that happens before the measured part. Many are opened at the same time, on non-blocking
//! sockets; answered ones leave the event queue, so that they cost the generator nothing while it
//! measures.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::event::epoll;
use slab::Slab;

use super::Worker;
use crate::clock::nanos;
use crate::connection::{Connection, Progress};

/// Connections that are opened at the same time, so that a listen backlog is not flooded.
const WINDOW: usize = 128;

/// Time without a response after which the window doubles: a server with fewer workers than idle
/// connections never answers most of them, and they should be open all the same.
const STALL: Duration = Duration::from_millis(50);

/// Idle connections of a worker that are being opened.
#[derive(Debug)]
struct Opening {
    /// Connections that are still to be opened.
    left: usize,
    /// Connections without a response yet.
    asking: Slab<Asking>,
    window: usize,
    /// Time of the last response, or of the last doubling of the window.
    last_news: u64,
}

/// A connection with its one request.
#[derive(Debug)]
struct Asking {
    socket: TcpStream,
    began: u64,
    /// Bytes of the request that were written; the connection is established as soon as there are
    /// any.
    written: usize,
    response: Connection,
}

/// State of a connection after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    GoesOn,
    /// The response is complete and the server keeps the connection open.
    Answered,
    /// The connection can't be held: it broke off, or the server closes it.
    Lost,
}

impl Worker {
    /// Opens `count` idle connections. Returns when each was answered or has reached the timeout of
    /// a request; connections that are established by then are held.
    pub(super) fn open_idle(&mut self, count: usize, buffer: &mut [u8], events: &mut Vec<epoll::Event>) {
        let last_news = self.plan.clock.now();
        let mut opening = Opening { left: count, asking: Slab::new(), window: WINDOW, last_news };
        while opening.left + opening.asking.len() > 0 && !self.plan.is_stopped() {
            self.open_more(&mut opening);
            self.wait(events);
            for event in events.drain(..) {
                self.on_idle_event(&mut opening, event, buffer);
            }
            self.stop_waiting(&mut opening);
        }
        for asking in opening.asking.drain() {
            self.hold(asking);
        }
        if !self.idle.is_empty() {
            self.plan.server_was_reached();
        }
    }

    fn open_more(&mut self, opening: &mut Opening) {
        let now = self.plan.clock.now();
        if now >= opening.last_news + nanos(STALL) {
            opening.window = opening.window.saturating_mul(2);
            opening.last_news = now;
        }
        while opening.left > 0
            && opening.asking.len() < opening.window
            && !self.plan.is_stopped()
            && self.dialer.take_turn(now)
        {
            opening.left -= 1;
            let Ok(socket) = self.dialer.connect(&self.plan.target.addresses) else { continue };
            let mut asking = Asking { socket, began: now, written: 0, response: Connection::default() };
            if self.write_idle(&mut asking) == Step::Lost {
                continue;
            }
            let entry = opening.asking.vacant_entry();
            if self.poller.add(&asking.socket, entry.key() as u64, self.interest(&asking)).is_ok() {
                entry.insert(asking);
            }
        }
    }

    /// Returns the events to wait for on an idle connection. They are level-triggered, unlike those
    /// of measured connections: no idle connection is worth a second read per event.
    fn interest(&self, asking: &Asking) -> epoll::EventFlags {
        let goes_on = asking.written < self.request.len();
        epoll::EventFlags::IN | if goes_on { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() }
    }

    fn on_idle_event(&mut self, opening: &mut Opening, event: epoll::Event, buffer: &mut [u8]) {
        let key = event.data.u64() as usize;
        let Some(asking) = opening.asking.get_mut(key) else { return };
        let mut step = Step::GoesOn;
        if asking.written < self.request.len() {
            step = self.write_idle(asking);
            let _ = self.poller.modify(&asking.socket, event.data.u64(), self.interest(asking));
        }
        if step == Step::GoesOn && asking.written > 0 {
            step = self.read_idle(asking, buffer);
        }
        match step {
            Step::GoesOn => {}
            Step::Answered => {
                opening.last_news = self.plan.clock.now();
                self.idle_answered += 1;
                self.hold(opening.asking.remove(key));
            }
            Step::Lost => {
                opening.asking.remove(key);
            }
        }
    }

    fn write_idle(&self, asking: &mut Asking) -> Step {
        match asking.socket.write(&self.request[asking.written..]) {
            Ok(written) => asking.written += written,
            // Not connected yet, or the socket's buffer is full: an event will follow.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Step::Lost,
        }
        Step::GoesOn
    }

    fn read_idle(&mut self, asking: &mut Asking, buffer: &mut [u8]) -> Step {
        let read = match asking.socket.read(buffer) {
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Step::GoesOn;
            }
            Err(_) => return Step::Lost,
        };
        match asking.response.receive(&buffer[..read], self.is_head, &mut self.known_head) {
            // This includes a response that ends with its connection: a closed connection can't be
            // held.
            _ if read == 0 => Step::Lost,
            Ok(Progress::Partial) => Step::GoesOn,
            Ok(Progress::Whole { head, consumed }) if consumed == read && head.keep_alive => Step::Answered,
            Ok(Progress::Whole { .. }) | Err(_) => Step::Lost,
        }
    }

    /// Holds connections without a response when the timeout of a request has passed.
    fn stop_waiting(&mut self, opening: &mut Opening) {
        let since = self.plan.clock.now().saturating_sub(nanos(self.plan.workload.timeout));
        let late = opening.asking.iter().filter(|(_, asking)| asking.began <= since).map(|(key, _)| key);
        for key in late.collect::<Vec<_>>() {
            self.hold(opening.asking.remove(key));
        }
    }

    /// Keeps a connection to the end of the run, if it is established.
    fn hold(&mut self, asking: Asking) {
        if asking.written > 0 {
            self.poller.remove(&asking.socket);
            self.idle.push(asking.socket);
        }
    }
}
