//! HTTP/1.1 without I/O (RFC 9110, RFC 9112): bytes in, bytes out, no socket anywhere.
//!
//! [`Connection`] is the value that every concurrency model drives, so that what differs between two models is never how
//! they speak HTTP. A [`Service`] belongs to the thread that drives it.

mod body;
mod connection;
mod date;
#[cfg(feature = "handicap")]
mod handicap;
mod handler;
mod request;
mod response;

pub use connection::{Connection, Want};
pub use handler::{Job, Reply};
pub(crate) use response::write_fixed_head;
pub use response::{Status, UNAVAILABLE};

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::site::{Route, Site};
use date::DateCache;

/// What one thread needs to answer requests: the site, the time, and the text of the current `Date`.
#[derive(Debug)]
pub struct Service {
    site: Arc<Site>,
    timeouts: Timeouts,
    handlers: Handlers,
    now: Instant,
    date: DateCache,
    closing: bool,
}

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a whole head, from its first octet on.
    pub head: Duration,
    /// For anything else to go on: the next request, more of a body, the taking of an answer.
    pub idle: Duration,
}

impl Default for Timeouts {
    /// 10 s and 60 s: a head is a packet or two, and browsers reuse a connection within a minute or not at all.
    fn default() -> Self {
        Self { head: Duration::from_secs(10), idle: Duration::from_mins(1) }
    }
}

/// Where handlers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handlers {
    /// On the thread that drives the connection.
    InPlace,
    /// Those that block or burn CPU time wherever the driver runs a [`Job`]; pages on the thread of the connection.
    OffloadBlocking,
    /// All of them wherever the driver runs a [`Job`].
    OffloadAll,
}

impl Handlers {
    /// Whether the handler behind `route` runs elsewhere. One that waits takes a thread only where all of them do.
    fn offload(self, route: &Route<'_>) -> bool {
        match self {
            Self::InPlace => false,
            Self::OffloadBlocking => route.blocks(),
            Self::OffloadAll => true,
        }
    }
}

impl Service {
    /// A service for one thread.
    pub fn new(site: Arc<Site>, timeouts: Timeouts, handlers: Handlers) -> Self {
        let (now, date) = (Instant::now(), DateCache::default());
        Self { site, timeouts, handlers, now, date, closing: false }
    }

    /// The clock of connections and of `Date` stands at `now` until it is set again: a loop looks at the time once per
    /// wake-up and not once per connection.
    pub fn set_time(&mut self, now: Instant) {
        self.now = now;
    }

    /// What the clock was set to last.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How long clients may take.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// From now on every answer ends its connection: what a server does between a stop signal and its end.
    pub fn close_after_answers(&mut self) {
        self.closing = true;
    }
}
