//! HTTP/1.1 without I/O (RFC 9110, RFC 9112): bytes in, bytes out, no socket anywhere.
//!
//! [`Connection`] is the state machine that every concurrency model drives, so that two models
//! never differ in their HTTP. Each thread that drives connections has a [`Service`].

mod body;
mod buffer;
mod connection;
mod date;
#[cfg(feature = "handicap")]
mod handicap;
mod handler;
mod request;
mod response;

pub(crate) use buffer::try_append;
pub use connection::{Connection, Want};
pub use handler::{Job, Reply};
pub(crate) use response::write_fixed_head;
pub use response::{Status, UNAVAILABLE};

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::site::{Route, Site};
use date::DateCache;

/// State that one thread needs to answer requests: the site, the time, and the text of the current
/// `Date`.
#[derive(Debug)]
pub struct Service {
    site: Arc<Site>,
    timeouts: Timeouts,
    handlers: HandlerPlacement,
    now: Instant,
    date: DateCache,
    closing: bool,
}

/// Time limits for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Time for a whole head, from its first byte on.
    pub head: Duration,
    /// Time until any other progress: the next request, more of a body, or reading a response.
    pub idle: Duration,
}

impl Default for Timeouts {
    /// Returns 10 s and 60 s: a head is a packet or two, and browsers reuse a connection within a
    /// minute or not at all.
    fn default() -> Self {
        Self { head: Duration::from_secs(10), idle: Duration::from_mins(1) }
    }
}

/// Place where handlers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandlerPlacement {
    /// On the thread that drives the connection.
    InPlace,
    /// Handlers that block or burn CPU time run where the driver runs a [`Job`], pages on the
    /// thread of the connection.
    OffloadBlocking,
    /// All handlers run where the driver runs a [`Job`].
    OffloadAll,
}

impl HandlerPlacement {
    /// Returns true if the handler of `route` runs as a [`Job`]. A handler that waits does so only
    /// if all handlers do.
    fn offload(self, route: &Route<'_>) -> bool {
        match self {
            Self::InPlace => false,
            Self::OffloadBlocking => route.blocks(),
            Self::OffloadAll => true,
        }
    }
}

impl fmt::Display for HandlerPlacement {
    /// Writes the place of a handler that blocks, which is the one that models differ in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InPlace => "in place",
            Self::OffloadBlocking | Self::OffloadAll => "offloaded",
        })
    }
}

impl Service {
    /// Creates a service for one thread.
    pub fn new(site: Arc<Site>, timeouts: Timeouts, handlers: HandlerPlacement) -> Self {
        let (now, date) = (Instant::now(), DateCache::default());
        Self { site, timeouts, handlers, now, date, closing: false }
    }

    /// Sets the clock of connections and of `Date` to `now`, where it stays until it is set again:
    /// a loop reads the time once per wake-up and not once per connection.
    pub fn set_time(&mut self, now: Instant) {
        self.now = now;
    }

    /// Returns the time that the clock was last set to.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Returns the time limits for clients.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Makes every response end its connection from now on, as a server does between a stop signal
    /// and its end.
    pub fn close_after_responses(&mut self) {
        self.closing = true;
    }
}
