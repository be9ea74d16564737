//! Connections that are left to the server to close.
//!
//! The end that closes first keeps the port in `TIME_WAIT`, and the client must not run out of
//! ports. So the last request of a connection asks the server to close it, and the client waits a
//! while for that.

use std::net::TcpStream;
use std::time::Duration;

use rustix::event::epoll;
use slab::Slab;

use super::poller::Poller;
use crate::clock::nanos;

/// Time for a server to close a connection that it was asked to close, before the client closes it.
const LINGER: Duration = Duration::from_secs(1);

/// Bit in the key of a connection that only waits to be closed.
const LINGERING: u64 = 1 << 63;

/// Connections that only wait to be closed, each with the time at which its wait began.
#[derive(Debug, Default)]
pub(super) struct Lingering(Slab<(TcpStream, u64)>);

impl Lingering {
    /// Leaves it to the server to close a connection. The events of its socket have a key of this
    /// part from now on.
    pub fn push(&mut self, socket: TcpStream, poller: &Poller, now: u64) {
        let entry = self.0.vacant_entry();
        let key = entry.key() as u64 | LINGERING;
        if poller.modify(&socket, key, epoll::EventFlags::RDHUP | epoll::EventFlags::ET).is_ok() {
            entry.insert((socket, now));
        }
    }

    /// Takes an event of one of these connections, or of the timer. Returns false if the key is
    /// that of another connection. If the server sends data instead of closing, the wait ends, too.
    pub fn take_event(&mut self, key: u64) -> bool {
        let is_taken = key & LINGERING != 0;
        if is_taken {
            // The timer's key has the bit, too, but belongs to no connection: its events only wake
            // the worker.
            let _ = self.0.try_remove((key & !LINGERING) as usize);
        }
        is_taken
    }

    /// Closes connections that the server has not closed in time.
    pub fn expire(&mut self, now: u64) {
        self.0.retain(|_, (_, since)| now < *since + nanos(LINGER));
    }
}
