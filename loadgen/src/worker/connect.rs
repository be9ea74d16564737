//! Opens connections, opens them again after a failure, and leaves them to the server to close.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use rustix::event::epoll;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::slot::State;
use super::{LINGERING, Worker};
use crate::clock::nanos;
use crate::connection::Connection;
use crate::plan::TICK;
use crate::workload::Lifetime;

/// Events that a socket is registered for, once for its whole life.
const EVERYTHING: epoll::EventFlags = epoll::EventFlags::IN
    .union(epoll::EventFlags::OUT)
    .union(epoll::EventFlags::RDHUP)
    .union(epoll::EventFlags::ET);

/// Connections of one worker that are being opened at the same time, so that a listen backlog is
/// not flooded.
const MAX_CONNECTING: usize = 128;

/// Waits between tries to connect: the first one, doubled each time, up to the last one.
const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_secs(1);

impl Worker {
    /// Queues connections for another try when their wait is over.
    pub(super) fn retry(&mut self, now: u64) {
        self.to_retry.retain(|&(until, key)| {
            if until <= now {
                self.to_open.push_back(key);
            }
            until > now
        });
    }

    /// Opens queued connections. Their number at a time is limited only until all have started:
    /// later, a limit would make requests wait for the generator.
    pub(super) fn open_due(&mut self, now: u64) {
        while (self.is_ready || self.connecting < MAX_CONNECTING)
            && !self.to_open.is_empty()
            && !self.plan.is_stopped()
            && self.take_turn(now)
        {
            let Some(key) = self.to_open.pop_front() else { return };
            self.open(key, now);
        }
    }

    /// Returns true if a connection, idle or not, may be opened now under the connect rate, and
    /// counts it then.
    pub(super) fn take_turn(&mut self, now: u64) -> bool {
        if self.next_open > now {
            return false;
        }
        if self.open_every > 0 {
            // Connections that a late tick delayed are made up for; time in which none was
            // requested is not.
            self.next_open = self.next_open.max(now.saturating_sub(nanos(TICK))) + self.open_every;
        }
        true
    }

    pub(super) fn open(&mut self, key: usize, now: u64) {
        // Not `now`: other connections may have been opened since.
        let began = self.plan.clock.now();
        let socket = self.connect().and_then(|socket| {
            self.poller.add(&socket, key as u64, EVERYTHING)?;
            Ok(socket)
        });
        if let Some(mut pending) = self.slots[key].pending {
            if std::mem::take(&mut pending.lag_is_open) {
                self.note_lag(pending, began);
            }
            // Only for the first try: the time of a failed try is not the generator's doing.
            if let Some(since) = pending.lacks_connection_since.take() {
                pending.connect_wait = Some(began.saturating_sub(since));
            }
            self.slots[key].pending = Some(pending);
        }
        let slot = &mut self.slots[key];
        slot.address = self.next_address;
        slot.state = State::Connecting;
        slot.connect_began = began;
        slot.connect_took = None;
        slot.response = Connection::default();
        slot.left = match self.plan.workload.lifetime {
            Lifetime::Persistent => u64::MAX,
            Lifetime::Requests(requests) => u64::from(requests.get()),
        };
        self.connecting += 1;
        match socket {
            Ok(socket) => slot.socket = Some(socket),
            Err(error) => return self.connect_failed(key, error, now),
        }
        if self.slots[key].pending.is_some() {
            // On loopback the handshake is over by now and this goes through; elsewhere an event
            // will follow.
            self.send(key, self.plan.clock.now());
        }
    }

    /// Makes epoll report a socket again that was not read empty. Edge-triggered epoll does not do
    /// so by itself.
    pub(super) fn look_again(&self, key: usize) {
        if let Some(socket) = &self.slots[key].socket {
            let _ = self.poller.modify(socket, key as u64, EVERYTHING);
        }
    }

    /// Begins to connect to the next address and does not wait for the result.
    pub(super) fn connect(&mut self) -> io::Result<TcpStream> {
        self.try_connect().inspect_err(|error| self.limits.note(error))
    }

    fn try_connect(&mut self) -> io::Result<TcpStream> {
        let addresses = &self.plan.target.addresses;
        self.next_address = (self.next_address + 1) % addresses.len();
        let address = addresses[self.next_address];
        loop {
            let socket =
                Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
            socket.set_tcp_nodelay(true)?;
            self.sources.bind_next(&socket, address)?;
            match socket.connect(&address.into()) {
                Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
                Err(error)
                    if error.kind() == io::ErrorKind::AddrNotAvailable && self.sources.add(address) =>
                {
                    continue;
                }
                result => result?,
            }
            return Ok(socket.into());
        }
    }

    pub(super) fn connect_failed(&mut self, key: usize, error: io::Error, now: u64) {
        let slot = &mut self.slots[key];
        self.first_failed_try = self.first_failed_try.min(slot.connect_began);
        let address = self.plan.target.addresses[slot.address];
        self.recorder.examples.connect.get_or_insert_with(|| format!("{address}: {error}"));
        self.connect_error = Some(error);
        slot.socket = None;
        slot.state = State::Closed;
        slot.failures += 1;
        self.connecting -= 1;
        self.recorder.count_error(slot.address, |errors| &mut errors.connect);
        let wait = FIRST_RETRY.saturating_mul(1 << (slot.failures - 1).min(16)).min(LAST_RETRY);
        self.to_retry.push((now + nanos(wait), key));
    }

    pub(super) fn established(&mut self, key: usize, now: u64) {
        let slot = &mut self.slots[key];
        slot.connect_took = Some(now - slot.connect_began);
        // The state is no longer `Connecting`, so that a request which is sent at once does not
        // count the connection again.
        slot.state = State::Free;
        slot.was_established = true;
        slot.failures = 0;
        self.connecting -= 1;
        self.opened_total += 1;
    }

    /// Leaves the connection to the server, which closes first, as the request asked: the end that
    /// closes first keeps the port in `TIME_WAIT`, and the client has to save ports.
    pub(super) fn linger(&mut self, key: usize, now: u64) {
        let Some(socket) = self.slots[key].socket.take() else {
            return;
        };
        let entry = self.lingering.vacant_entry();
        let key = entry.key() as u64 | LINGERING;
        if self.poller.modify(&socket, key, epoll::EventFlags::RDHUP | epoll::EventFlags::ET).is_ok() {
            entry.insert((socket, now));
        }
    }
}
