//! HTTP/1.1 without I/O (RFC 9110, RFC 9112): bytes in, bytes out, no socket anywhere.
//!
//! [`Connection`] is the value that every concurrency model drives, so that what differs between two models is never how
//! they speak HTTP. A [`Service`] belongs to the thread that drives it.

mod body;
mod connection;
mod date;
mod request;
mod response;

pub use connection::{Connection, Want};
pub(crate) use response::write_fixed_head;
pub use response::{Status, UNAVAILABLE};

use std::sync::Arc;

use crate::site::Site;
use date::DateCache;

/// What one thread needs to answer requests: the site, and the text of the current `Date`.
#[derive(Debug)]
pub struct Service {
    site: Arc<Site>,
    date: DateCache,
    closing: bool,
}

impl Service {
    /// A service for one thread.
    pub fn new(site: Arc<Site>) -> Self {
        Self { site, date: DateCache::default(), closing: false }
    }

    /// From now on every answer ends its connection: what a server does between a stop signal and its end.
    pub fn close_after_answers(&mut self) {
        self.closing = true;
    }
}
