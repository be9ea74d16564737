//! State that one thread needs to answer requests, and the settings that come with it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::date::DateCache;
use crate::site::{Route, Site};

/// State that one thread needs to answer requests: the site, the time, and the text of the current
/// `Date`.
#[derive(Debug)]
pub struct Service {
    pub(super) site: Arc<Site>,
    pub(super) timeouts: Timeouts,
    pub(super) handlers: HandlerPlacement,
    pub(super) now: Instant,
    pub(super) date: DateCache,
    pub(super) closing: bool,
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
    /// Handlers that block or burn CPU time run where the driver runs a [`Job`](super::Job), pages
    /// on the thread of the connection.
    OffloadBlocking,
    /// All handlers run where the driver runs a [`Job`](super::Job).
    OffloadAll,
}

impl HandlerPlacement {
    /// Returns true if the handler of `route` runs as a [`Job`](super::Job). A handler that waits
    /// does so only if all handlers do.
    pub(super) fn offload(self, route: &Route<'_>) -> bool {
        match self {
            Self::InPlace => false,
            Self::OffloadBlocking => route.blocks(),
            Self::OffloadAll => true,
        }
    }
}

impl fmt::Display for HandlerPlacement {
    /// Writes where a handler that blocks runs; models differ only in that.
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
        let now = Instant::now();
        let date = DateCache::default();
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
