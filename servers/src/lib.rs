//! Every concurrency model of c10k behind one trait, serving the same bytes through the same HTTP code.
//!
//! A model decides only who waits for what, and where. What it serves is the [`Site`](site::Site), how it speaks HTTP is
//! the [`http::Connection`], where its connections come from is the [`Listener`].

mod blocking;
pub mod http;
mod listener;
mod model;
mod open_connections;
mod peer;
mod shutdown;
pub mod site;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

pub use listener::Listener;
pub use model::{Accepts, Entry, ROSTER, Runs, Traits, Waits, find};
pub use shutdown::{DRAIN_TIME, Shutdown};
use site::Site;

/// One way of serving many connections at once.
pub trait ConcurrencyModel {
    /// Serves `site` on `listener` until `shutdown` is signalled, then lets requests in flight finish and returns.
    ///
    /// # Errors
    /// When serving as a whole can't go on; what goes wrong on one connection ends that connection only.
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()>;
}

/// What can be set for a model. Each takes what applies to it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Size of a pool; without it, what the model finds sensible for this machine.
    pub workers: Option<NonZeroUsize>,
    /// Connections served at once; further ones wait in the listen backlog.
    pub max_connections: NonZeroUsize,
}
