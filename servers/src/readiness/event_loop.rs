//! Event loop of one thread with many connections, shared by all models that are notified of ready
//! sockets.
//!
//! These models differ only in their [`Poller`]: select, poll, epoll through a library, epoll by
//! hand, level- or edge-triggered.

use std::io;
use std::mem;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::blocking::connection::READ_BYTES;
use crate::http::{Job, Reply, Service};
use crate::net::listener::refuse;
use crate::net::shutdown::DRAIN_TICK;
use crate::net::timeout_scan::TimeoutScan;
use crate::net::timers::Timers;
use crate::readiness::connection::{Interest, Next, NonBlockingConnection};
use crate::{Listener, Shutdown};

/// Keys of the descriptors that a loop watches beside its connections; the keys of connections come
/// after them.
pub const LISTENER: usize = 0;
pub const SHUTDOWN: usize = 1;
pub const WAKE: usize = 2;
const FIRST_CONNECTION: usize = 3;

/// Initial capacity of the ready list: the most events that one wait of epoll returns, also through
/// the library.
const READY_AT_ONCE: usize = 1024;

/// Source of readiness events.
///
/// Keys are small numbers that are used again. A descriptor is removed before it is closed.
pub trait Poller {
    /// Returns true if a socket is reported once when it becomes ready, rather than for as long as
    /// it is ready.
    fn is_edge_triggered(&self) -> bool {
        false
    }

    /// Registers `fd` for level-triggered read readiness.
    fn watch(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()>;

    /// Removes a descriptor that was registered with [`Self::watch`].
    fn unwatch(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()>;

    /// Registers a connection for read readiness.
    fn add(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()>;

    /// Changes the readiness that a connection is registered for.
    fn change(&mut self, fd: BorrowedFd<'_>, key: usize, interest: Interest) -> io::Result<()>;

    /// Removes a connection, which is closed next.
    fn remove(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()>;

    /// Waits until a descriptor is ready, but no longer than `timeout`; adds the ready ones to
    /// `ready`.
    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Timeout) -> io::Result<()>;
}

/// Longest wait of a loop.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timeout {
    /// Wait for this long; a few milliseconds more are acceptable.
    pub about: Option<Duration>,
    /// Wait until this time, as exactly as the system can, because a handler waits for it.
    pub until: Option<Instant>,
}

impl Timeout {
    /// Returns the time left until the earlier of both limits, without any allowance.
    pub fn left(&self) -> Option<Duration> {
        let exact = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        [self.about, exact].into_iter().flatten().min()
    }
}

/// Descriptor that is ready.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    pub key: usize,
    /// True if it is known that the client has sent its last byte.
    pub ends: bool,
}

/// Descriptors that are ready and do not belong to connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Woken {
    pub listener: bool,
    pub wake: bool,
}

/// Connections of one thread, and the poller that reports which of them are ready.
#[derive(Debug)]
pub struct EventLoop<P> {
    poller: P,
    connections: Slab<Slot>,
    /// Number of connections so far.
    added: u64,
    ready: Vec<Ready>,
    /// Slots of connections that continue without an event, after the others had their turn.
    again: Vec<usize>,
    jobs: Vec<(Token, Job)>,
    /// Timers of connections whose handlers wait.
    timers: Timers<Token>,
    service: Service,
    buffer: Vec<u8>,
    scan: TimeoutScan,
    max_connections: usize,
}

/// Identifier of a connection, still unique after the connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token {
    slot: usize,
    number: u64,
}

/// Connection and its registration with the poller.
#[derive(Debug)]
struct Slot {
    connection: NonBlockingConnection,
    /// Number of connections that the loop had added before this one.
    number: u64,
    interest: Interest,
    /// True if the connection is in `EventLoop::again`.
    is_queued: bool,
    /// True if the connection has a timer in `EventLoop::timers`.
    has_timer: bool,
}

impl<P: Poller> EventLoop<P> {
    pub fn new(poller: P, service: Service, max_connections: usize) -> Self {
        let scan = TimeoutScan::new(service.timeouts(), service.now());
        Self {
            poller,
            connections: Slab::new(),
            added: 0,
            ready: Vec::with_capacity(READY_AT_ONCE),
            again: Vec::new(),
            jobs: Vec::new(),
            timers: Timers::default(),
            service,
            buffer: vec![0; READ_BYTES],
            scan,
            max_connections,
        }
    }

    /// Serves connections from `listener` until `shutdown`, then finishes the requests in flight.
    pub fn serve(self, listener: &Listener, shutdown: &Shutdown) -> io::Result<()> {
        self.serve_and(listener, shutdown, |_, _| {})
    }

    /// Serves like [`Self::serve`], and calls `between` after every turn.
    pub fn serve_and(
        mut self,
        listener: &Listener,
        shutdown: &Shutdown,
        mut between: impl FnMut(&mut Self, Woken),
    ) -> io::Result<()> {
        self.poller.watch(listener.as_fd(), LISTENER)?;
        self.poller.watch(shutdown.as_fd(), SHUTDOWN)?;
        let mut listening = true;
        while !shutdown.is_signalled() {
            let woken = self.turn(None)?;
            if woken.listener {
                self.accept(listener)?;
            }
            between(&mut self, woken);
            let has_capacity = self.connections.len() < self.max_connections;
            if has_capacity != listening {
                listening = has_capacity;
                let fd = listener.as_fd();
                if has_capacity {
                    self.poller.watch(fd, LISTENER)?;
                } else {
                    self.poller.unwatch(fd, LISTENER)?;
                }
            }
        }
        self.poller.unwatch(shutdown.as_fd(), SHUTDOWN)?;
        if listening {
            self.poller.unwatch(listener.as_fd(), LISTENER)?;
        }
        for stream in listener.close() {
            self.add(stream);
        }
        self.drain(shutdown, between)
    }

    /// Reports `fd` as [`Woken::wake`] for as long as it is readable.
    pub fn watch_wake(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.poller.watch(fd, WAKE)
    }

    /// Waits until a descriptor is ready, and serves the connections that are.
    pub fn turn(&mut self, at_most: Option<Duration>) -> io::Result<Woken> {
        let mut ready = mem::take(&mut self.ready);
        self.poller.wait(&mut ready, self.wait_time(at_most))?;
        self.service.set_time(Instant::now());
        let mut woken = Woken::default();
        let again = mem::take(&mut self.again);
        for event in ready.drain(..) {
            match event.key {
                LISTENER => woken.listener = true,
                WAKE => woken.wake = true,
                SHUTDOWN => {}
                key => self.turn_connection(key - FIRST_CONNECTION, event.ends),
            }
        }
        for slot in again {
            if let Some(entry) = self.connections.get_mut(slot) {
                entry.is_queued = false;
                self.turn_connection(slot, false);
            }
        }
        self.ready = ready;
        while let Some(token) = self.timers.take_due(self.service.now()) {
            self.end_wait(token);
        }
        if self.scan.is_due(self.service.now()) {
            self.end_overdue();
        }
        Ok(woken)
    }

    /// Adds `stream` to the connections of this loop.
    pub fn add(&mut self, stream: TcpStream) {
        let slot = self.connections.vacant_entry();
        match self.poller.add(stream.as_fd(), FIRST_CONNECTION + slot.key()) {
            Ok(()) => {
                let connection = NonBlockingConnection::new(stream, &self.service);
                let number = self.added;
                self.added += 1;
                let interest = Interest::Readable;
                slot.insert(Slot {
                    connection,
                    number,
                    interest,
                    is_queued: false,
                    has_timer: false,
                });
            }
            // The number of watched descriptors is limited too (epoll(7), select(2)).
            Err(_) => refuse(&stream),
        }
    }

    /// Returns the number of open connections.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Returns the jobs to be run on other threads, each with its connection. A caller that takes
    /// one calls [`Self::finish_job`].
    pub fn jobs(&mut self) -> &mut Vec<(Token, Job)> {
        &mut self.jobs
    }

    /// Continues a connection with the reply of its job, unless the connection is gone.
    pub fn finish_job(&mut self, token: Token, reply: &Reply<'_>) {
        if let Some(entry) =
            self.connections.get_mut(token.slot).filter(|entry| entry.number == token.number)
        {
            let next = entry.connection.finish_job(reply, &mut self.service);
            self.go_on(token.slot, next);
        }
    }

    /// Lets the connections finish their requests in flight, and calls `between` after every turn.
    /// From now on every response ends its connection.
    pub fn drain(
        mut self,
        shutdown: &Shutdown,
        mut between: impl FnMut(&mut Self, Woken),
    ) -> io::Result<()> {
        self.service.close_after_responses();
        let turn = |this: &mut Self| {
            let woken = this.turn(Some(DRAIN_TICK))?;
            between(this, woken);
            io::Result::Ok(())
        };
        let close_idle =
            |this: &mut Self| this.each_where(|connection, _| connection.is_idle(), Self::close);
        shutdown.drain(&mut self, |this| this.connections.is_empty(), turn, close_idle)
    }

    /// Takes waiting connections, up to the connection limit.
    fn accept(&mut self, listener: &Listener) -> io::Result<()> {
        let capacity = self.max_connections - self.connections.len();
        listener.accept_some(capacity, |stream| self.add(stream))
    }

    fn wait_time(&self, at_most: Option<Duration>) -> Timeout {
        if !self.again.is_empty() {
            return Timeout { about: Some(Duration::ZERO), until: None };
        }
        // Without connections there is nothing to scan, and an idle server sleeps.
        let scan = (!self.connections.is_empty()).then(|| self.scan.left(Instant::now()));
        Timeout { about: [scan, at_most].into_iter().flatten().min(), until: self.timers.next() }
    }

    /// Continues a connection whose handler has waited, unless the connection is gone.
    fn end_wait(&mut self, token: Token) {
        if let Some(entry) =
            self.connections.get_mut(token.slot).filter(|entry| entry.number == token.number)
        {
            entry.has_timer = false;
            let next = entry.connection.go_on(&mut self.service);
            self.go_on(token.slot, next);
        }
    }

    /// Sets a timer for a connection whose handler waits. If the connection has one already, its
    /// socket has become ready meanwhile, and that event is handled.
    fn wait_until(&mut self, slot: usize, until: Instant) {
        let Slot { connection, number, interest, has_timer, .. } = &mut self.connections[slot];
        if !*has_timer {
            *has_timer = true;
            self.timers.add(until, Token { slot, number: *number });
        } else if *interest == Interest::Nothing {
            // No event was asked for, so this one reports that the connection is gone.
            self.close(slot);
        } else if !self.poller.is_edge_triggered() {
            // Otherwise the poller would report data that has arrived at every wait.
            *interest = Interest::Nothing;
            if self
                .poller
                .change(connection.stream.as_fd(), FIRST_CONNECTION + slot, Interest::Nothing)
                .is_err()
            {
                self.close(slot);
            }
        }
    }

    fn turn_connection(&mut self, slot: usize, ends: bool) {
        // The connection may have been closed while an earlier event was handled.
        let Some(Slot { connection, .. }) = self.connections.get_mut(slot) else { return };
        if ends {
            connection.expect_end();
        }
        let next = connection.turn(&mut self.service, &mut self.buffer);
        self.go_on(slot, next);
    }

    /// Carries out the next action of a connection; tells the poller only about changes.
    fn go_on(&mut self, slot: usize, next: Next) {
        let Slot { connection, interest, is_queued, number, .. } = &mut self.connections[slot];
        match next {
            Next::Wait(wanted) | Next::Again(wanted) if wanted != *interest => {
                *interest = wanted;
                if self
                    .poller
                    .change(connection.stream.as_fd(), FIRST_CONNECTION + slot, wanted)
                    .is_err()
                {
                    self.close(slot);
                }
            }
            Next::Again(_) if self.poller.is_edge_triggered() && !*is_queued => {
                *is_queued = true;
                self.again.push(slot);
            }
            Next::Wait(_) | Next::Again(_) => {}
            Next::Timer(until) => self.wait_until(slot, until),
            Next::Job => {
                let token = Token { slot, number: *number };
                self.jobs.extend(connection.take_job().map(|job| (token, job)));
            }
            Next::Close => self.close(slot),
        }
    }

    fn close(&mut self, slot: usize) {
        let Slot { connection, .. } = self.connections.remove(slot);
        // The registration ends when the socket is closed, at the latest.
        let _ = self.poller.remove(connection.stream.as_fd(), FIRST_CONNECTION + slot);
    }

    fn end_overdue(&mut self) {
        self.each_where(NonBlockingConnection::is_overdue, |this, slot| {
            let next = this.connections[slot].connection.time_out(&mut this.service);
            this.go_on(slot, next);
        });
    }

    /// Calls `act` for all connections that meet `condition`, without allocating a list of them.
    fn each_where(
        &mut self,
        condition: impl Fn(&NonBlockingConnection, &Service) -> bool,
        act: impl Fn(&mut Self, usize),
    ) {
        for slot in 0..self.connections.capacity() {
            if self
                .connections
                .get(slot)
                .is_some_and(|entry| condition(&entry.connection, &self.service))
            {
                act(self, slot);
            }
        }
    }
}
