//! Idle connections: each is opened, sends one request, reads its response, and is then only held,
//! like the connection of a client that pauses.
//!
//! All of that happens before the measured part. Many are opened at the same time, on non-blocking
//! sockets; those with a response leave the event queue, so that they cost the generator nothing
//! while it measures.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::event::epoll;
use slab::Slab;

use super::dialer::Dialer;
use super::exchange::Exchange;
use super::poller::Poller;
use crate::clock::nanos;
use crate::connection::{Connection, Progress};
use crate::plan::{Plan, TICK};

/// Connections that are opened at the same time, so that a listen backlog is not flooded.
const WINDOW: usize = 128;

/// Time without a response after which the window doubles: a server with fewer workers than idle
/// connections never answers most of them, but they should still be opened.
const STALL: Duration = Duration::from_millis(50);

/// Connections that are only held, and the number of them that had a response.
#[derive(Debug, Default)]
pub(super) struct Idle {
    held: Vec<TcpStream>,
    answered: u64,
}

/// Idle connections of a worker that are being opened.
pub(super) struct Opening<'a> {
    plan: &'a Plan,
    poller: &'a Poller,
    dialer: &'a mut Dialer,
    exchange: &'a mut Exchange,
    idle: Idle,
    /// Connections that are still to be opened.
    left: usize,
    /// Connections without a response yet.
    asking: Slab<Asking>,
    window: usize,
    /// Time of the last response, or of the last doubling of the window.
    last_news: u64,
}

/// A connection with its only request.
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

impl Idle {
    /// Returns the number of connections that are held.
    pub fn held(&self) -> u64 {
        self.held.len() as u64
    }

    /// Returns the number of connections that had a response.
    pub fn answered(&self) -> u64 {
        self.answered
    }
}

impl<'a> Opening<'a> {
    /// Prepares to open `count` idle connections with these parts of a worker.
    pub fn new(
        count: usize,
        plan: &'a Plan,
        poller: &'a Poller,
        dialer: &'a mut Dialer,
        exchange: &'a mut Exchange,
    ) -> Self {
        Self {
            plan,
            poller,
            dialer,
            exchange,
            idle: Idle::default(),
            left: count,
            asking: Slab::new(),
            window: WINDOW,
            last_news: plan.clock.now(),
        }
    }

    /// Opens the connections. Returns when each was answered or has reached the timeout of a
    /// request; connections that are established by then are held.
    pub fn run(mut self, buffer: &mut [u8], events: &mut Vec<epoll::Event>) -> Idle {
        let plan = self.plan;
        while self.left + self.asking.len() > 0 && !plan.is_stopped() {
            self.open_more();
            self.poller.wait(TICK, events);
            for event in events.drain(..) {
                self.on_event(event, buffer);
            }
            self.stop_waiting();
        }
        let idle = self.finish();
        if !idle.held.is_empty() {
            plan.server_was_reached();
        }
        idle
    }

    fn open_more(&mut self) {
        let now = self.plan.clock.now();
        if now >= self.last_news + nanos(STALL) {
            self.window = self.window.saturating_mul(2);
            self.last_news = now;
        }
        while self.left > 0
            && self.asking.len() < self.window
            && !self.plan.is_stopped()
            && self.dialer.take_turn(now)
        {
            self.left -= 1;
            let Ok(socket) = self.dialer.connect(&self.plan.target.addresses) else { continue };
            let mut asking =
                Asking { socket, began: now, written: 0, response: Connection::default() };
            let request = self.exchange.request();
            if asking.write(request) == Step::Lost {
                continue;
            }
            let entry = self.asking.vacant_entry();
            if self.poller.add(&asking.socket, entry.key() as u64, asking.interest(request)).is_ok()
            {
                entry.insert(asking);
            }
        }
    }

    fn on_event(&mut self, event: epoll::Event, buffer: &mut [u8]) {
        let data = event.data.u64();
        let key = data as usize;
        let Some(asking) = self.asking.get_mut(key) else { return };
        let request = self.exchange.request();
        let mut step = Step::GoesOn;
        if asking.written < request.len() {
            step = asking.write(request);
            let _ = self.poller.modify(&asking.socket, data, asking.interest(request));
        }
        if step == Step::GoesOn && asking.written > 0 {
            step = asking.read(self.exchange, buffer);
        }
        match step {
            Step::GoesOn => {}
            Step::Answered => {
                self.last_news = self.plan.clock.now();
                self.idle.answered += 1;
                let asking = self.asking.remove(key);
                self.hold(asking);
            }
            Step::Lost => {
                self.asking.remove(key);
            }
        }
    }

    /// Holds connections without a response when the timeout of a request has passed.
    fn stop_waiting(&mut self) {
        let since = self.plan.clock.now().saturating_sub(nanos(self.plan.workload.timeout));
        let late =
            self.asking.iter().filter(|(_, asking)| asking.began <= since).map(|(key, _)| key);
        for key in late.collect::<Vec<_>>() {
            let asking = self.asking.remove(key);
            self.hold(asking);
        }
    }

    /// Keeps a connection to the end of the run, if it is established.
    fn hold(&mut self, asking: Asking) {
        if asking.written > 0 {
            self.poller.remove(&asking.socket);
            self.idle.held.push(asking.socket);
        }
    }

    /// Holds the connections that are left.
    fn finish(mut self) -> Idle {
        for (_, asking) in std::mem::take(&mut self.asking) {
            self.hold(asking);
        }
        self.idle
    }
}

impl Asking {
    /// Returns the events to wait for on an idle connection. They are level-triggered, unlike those
    /// of measured connections: one read per event is enough for an idle connection.
    fn interest(&self, request: &[u8]) -> epoll::EventFlags {
        let goes_on = self.written < request.len();
        epoll::EventFlags::IN
            | if goes_on { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() }
    }

    fn write(&mut self, request: &[u8]) -> Step {
        match self.socket.write(&request[self.written..]) {
            Ok(written) => self.written += written,
            // Not connected yet, or the socket's buffer is full: an event will follow.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Step::Lost,
        }
        Step::GoesOn
    }

    fn read(&mut self, exchange: &mut Exchange, buffer: &mut [u8]) -> Step {
        let read = match self.socket.read(buffer) {
            Ok(read) => read,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return Step::GoesOn;
            }
            Err(_) => return Step::Lost,
        };
        match exchange.take(&mut self.response, &buffer[..read]) {
            // This includes a response that ends with its connection: a closed connection can't be
            // held.
            _ if read == 0 => Step::Lost,
            Ok(Progress::Partial) => Step::GoesOn,
            Ok(Progress::Whole { head, consumed }) if consumed == read && head.keep_alive => {
                Step::Answered
            }
            Ok(Progress::Whole { .. }) | Err(_) => Step::Lost,
        }
    }
}
