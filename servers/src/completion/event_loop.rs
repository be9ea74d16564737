//! Event loop of one thread with an `io_uring`, shared by the models that leave the I/O itself to
//! the kernel.
//!
//! ```text
//!             requests                                 completions
//!  accept all, once  ────────►  ┌────────┐  ────────►  accepted   one connection, repeatedly
//!  receive, once each ───────►  │ kernel │  ────────►  received   one buffer, repeatedly
//!  send, once a response ────►  │        │  ────────►  sent       a number of bytes
//!  wait, once a `/wait` ─────►  └────────┘  ────────►  timed      the end of its time
//! ```
//!
//! One system call, `io_uring_enter`, gives the kernel the requests of a turn and waits for the
//! completions that make up the next turn.

use std::io;
use std::mem;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use io_uring::IoUring;
use rustix::io::Errno;
use slab::Slab;

use super::connection::{Next, RingConnection};
use super::ring::{self, COMPLETIONS, Completion, Request, Ring};
use crate::http::Service;
use crate::net::shutdown::DRAIN_TICK;
use crate::net::timeout_scan::TimeoutScan;
use crate::{Listener, Shutdown};

/// Remaining capacity below which connections are accepted one by one. While the kernel accepts all
/// connections, one turn may bring as many as there are completions, and the next turn as many
/// again before the kernel is told to stop.
const ACCEPT_ALL_CAPACITY: usize = 2 * COMPLETIONS as usize;

/// Serves connections from `listener` until `shutdown`, then finishes the requests in flight. The
/// ring was made by [`ring::open`].
pub fn serve(
    mut io_uring: IoUring,
    listener: &Listener,
    service: Service,
    max_connections: usize,
    shutdown: &Shutdown,
) -> io::Result<()> {
    let ring = Ring::new(&mut io_uring)?;
    CompletionLoop::new(ring, listener, service, max_connections).serve(shutdown)
}

/// Connections of one thread, and its ring.
struct CompletionLoop<'a> {
    /// Dropped before the connections, so that the kernel gives up all their requests first.
    ring: Ring<'a>,
    connections: Slab<RingConnection>,
    listener: &'a Listener,
    accepting: Accepting,
    /// True if the last attempt to accept has failed for lack of a resource.
    is_short: bool,
    max_connections: usize,
    service: Service,
    scan: TimeoutScan,
    done: Vec<Completion>,
}

/// State of accepting in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepting {
    Nothing,
    /// The kernel accepts one connection.
    One,
    /// The kernel accepts all connections that come.
    All,
    /// The kernel was told to stop accepting all connections.
    Ending,
    /// The kernel reports when a connection waits to be accepted.
    Knock,
}

impl<'a> CompletionLoop<'a> {
    fn new(
        ring: Ring<'a>,
        listener: &'a Listener,
        service: Service,
        max_connections: usize,
    ) -> Self {
        let scan = TimeoutScan::new(service.timeouts(), service.now());
        let connections = Slab::new();
        let accepting = Accepting::Nothing;
        Self {
            ring,
            connections,
            listener,
            accepting,
            is_short: false,
            max_connections,
            service,
            scan,
            done: Vec::with_capacity(COMPLETIONS as usize),
        }
    }

    fn serve(mut self, shutdown: &Shutdown) -> io::Result<()> {
        self.ring.watch(shutdown.as_fd());
        while !shutdown.is_signalled() {
            self.go_on_accepting();
            self.turn(None)?;
        }
        self.stop_accepting()?;
        for stream in self.listener.close() {
            self.add(stream);
        }
        self.drain(shutdown)
    }

    /// Lets the connections finish their requests in flight. From now on every response ends its
    /// connection.
    fn drain(mut self, shutdown: &Shutdown) -> io::Result<()> {
        self.service.close_after_responses();
        shutdown.drain(
            &mut self,
            |this| this.connections.is_empty(),
            |this| this.turn(Some(DRAIN_TICK)),
            |this| this.close_where(|connection, _| connection.is_idle()),
        )?;
        self.close_where(|_, _| true);
        while !self.connections.is_empty() {
            self.turn(None)?;
        }
        Ok(())
    }

    /// Waits for completions, then continues their connections.
    fn turn(&mut self, at_most: Option<Duration>) -> io::Result<()> {
        self.ring.wait(self.wait_time(at_most))?;
        self.service.set_time(Instant::now());
        let mut done = mem::take(&mut self.done);
        self.ring.take_completions(&mut done);
        for completion in &mut done {
            if let &mut Completion::Sent { slot, result } = completion {
                self.connections[slot].sent(result, slot, &mut self.service, &mut self.ring);
                self.go_on(slot);
            }
        }
        while let Some(slot) = self.ring.take_settled() {
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.settle(&mut self.service);
                self.go_on(slot);
            }
        }
        for completion in done.drain(..) {
            self.complete(completion)?;
        }
        self.done = done;
        if self.scan.is_due(self.service.now()) {
            self.end_overdue();
        }
        Ok(())
    }

    fn complete(&mut self, completion: Completion) -> io::Result<()> {
        match completion {
            Completion::Accepted { result, is_last } => {
                self.accepted(result.map(Into::into), is_last);
            }
            Completion::Knocked => self.accept()?,
            Completion::Received { slot, result, is_last } => {
                let (service, ring) = (&mut self.service, &mut self.ring);
                self.connections[slot].received(result, is_last, slot, service, ring);
                self.go_on(slot);
            }
            Completion::Timed { slot } => {
                self.connections[slot].timed();
                self.go_on(slot);
            }
            Completion::Sent { .. } | Completion::Watched => {}
        }
        Ok(())
    }

    fn wait_time(&self, at_most: Option<Duration>) -> Option<Duration> {
        // Without connections there is nothing to scan, and an idle server sleeps.
        let scan = (!self.connections.is_empty()).then(|| self.scan.left(self.service.now()));
        [scan, at_most].into_iter().flatten().min()
    }

    /// Adds `stream` to the connections of this loop.
    fn add(&mut self, stream: TcpStream) {
        let slot = self.connections.insert(RingConnection::new(stream, &self.service));
        self.go_on(slot);
    }

    fn go_on(&mut self, slot: usize) {
        if self.connections[slot].go_on(slot, &mut self.service, &mut self.ring) == Next::Drop {
            self.connections.remove(slot);
        }
    }

    /// Asks the kernel to accept connections, up to the connection limit.
    fn go_on_accepting(&mut self) {
        let capacity = self.max_connections.saturating_sub(self.connections.len());
        let fd = self.listener.as_fd();
        self.accepting = match self.accepting {
            Accepting::Nothing if capacity == 0 => return,
            Accepting::Nothing if self.is_short => {
                self.ring.wait_for_knock(fd);
                Accepting::Knock
            }
            Accepting::Nothing => {
                let all = capacity > ACCEPT_ALL_CAPACITY;
                self.ring.accept(fd, all);
                if all { Accepting::All } else { Accepting::One }
            }
            Accepting::All if capacity <= ACCEPT_ALL_CAPACITY => {
                self.ring.cancel(Request::Accept, ring::NO_SLOT);
                Accepting::Ending
            }
            _ => return,
        };
    }

    /// Takes the result of an accept.
    fn accepted(&mut self, result: Result<TcpStream, Errno>, is_last: bool) {
        if is_last {
            self.accepting = Accepting::Nothing;
        }
        match result {
            Ok(stream) => self.add(stream),
            Err(Errno::CANCELED) => {}
            // For example, no descriptors are left. Another accept would fail at once, even if no
            // connection comes.
            Err(_) => self.is_short = true,
        }
    }

    /// Accepts the next connection through the listener, which knows what to do when that fails.
    fn accept(&mut self) -> io::Result<()> {
        self.accepting = Accepting::Nothing;
        match self.listener.accept() {
            Ok(stream) => {
                self.is_short = false;
                self.add(stream);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn stop_accepting(&mut self) -> io::Result<()> {
        for request in [Request::Accept, Request::Knock] {
            self.ring.cancel(request, ring::NO_SLOT);
        }
        while self.accepting != Accepting::Nothing {
            self.turn(Some(DRAIN_TICK))?;
        }
        Ok(())
    }

    fn end_overdue(&mut self) {
        self.each_where(RingConnection::is_overdue, |this, slot| {
            this.connections[slot].time_out(slot, &mut this.service, &mut this.ring);
        });
    }

    fn close_where(&mut self, condition: impl Fn(&RingConnection, &Service) -> bool) {
        self.each_where(condition, |this, slot| this.connections[slot].close(slot, &mut this.ring));
    }

    /// Calls `act` for all connections that meet `condition`, without allocating a list of them,
    /// and continues each.
    fn each_where(
        &mut self,
        condition: impl Fn(&RingConnection, &Service) -> bool,
        act: impl Fn(&mut Self, usize),
    ) {
        for slot in 0..self.connections.capacity() {
            if self
                .connections
                .get(slot)
                .is_some_and(|connection| condition(connection, &self.service))
            {
                act(self, slot);
                self.go_on(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::Listening;
    use crate::http::{HandlerPlacement, Timeouts};
    use crate::site::Site;

    /// Sends `bytes` at once, then the end; returns the response, and the time that it took.
    fn talk(bytes: &[u8]) -> (String, Duration) {
        let idle_timeout = Duration::from_secs(10);
        let listening = Listening {
            address: ([127, 0, 0, 1], 0).into(),
            backlog: 16,
            idle_timeout,
            sharded: false,
            reuse_address: true,
        };
        let listener = Listener::bind(listening).unwrap();
        let shutdown = Shutdown::new().unwrap();
        let service = Service::new(
            Arc::new(Site::embedded()),
            Timeouts::default(),
            HandlerPlacement::InPlace,
        );
        thread::scope(|scope| {
            scope.spawn(|| {
                serve(ring::open().unwrap(), &listener, service, 100, &shutdown).unwrap();
            });
            let mut client = TcpStream::connect(listener.local_address().unwrap()).unwrap();
            let mut text = String::new();
            let begin = Instant::now();
            client.write_all(bytes).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            client.read_to_string(&mut text).unwrap();
            shutdown.signal();
            (text, begin.elapsed())
        })
    }

    #[test]
    fn pipelined_requests_do_not_wait_behind_a_send_at_once() {
        if super::super::probe::probe().is_err() {
            return;
        }
        // Each request fills a buffer exactly, so that no byte of the next request is known when
        // the first is answered.
        let head = "GET / HTTP/1.1\r\nHost: a\r\nFiller: \r\n\r\n";
        let request =
            head.replace("Filler: ", &format!("Filler: {}", "a".repeat(4096 - head.len())));
        for count in [1, 2, 20] {
            let (text, time) = talk(request.repeat(count).as_bytes());
            assert_eq!(text.matches("200 OK").count(), count);
            assert!(time < Duration::from_millis(700), "{count}: {time:?}");
        }
    }
}
