//! Every concurrency model of c10k as a function of one signature, serving the same bytes through
//! the same HTTP code.
//!
//! A model decides only how its threads, processes or tasks wait, and for what. The served content
//! is the [`Site`](site::Site), HTTP is the [`http::Connection`], and connections come from the
//! [`Listener`].

#[cfg(not(target_os = "linux"))]
compile_error!("c10k is for Linux: it needs epoll, io_uring and /proc");

mod blocking;
mod completion;
pub mod http;
mod model;
mod net;
mod readiness;
#[cfg(any(feature = "compio", feature = "may", feature = "smol", feature = "tokio"))]
mod runtimes;
pub mod site;
#[cfg_attr(not(feature = "may"), allow(dead_code))]
mod thread_limit;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use http::{HandlerPlacement, Service, Timeouts};
pub use model::{AcceptStrategy, ConnectionLimit, Entry, Execution, Profile, ROSTER, Readiness, Serve, find};
pub use net::listener::{Listener, Listening};
pub use net::shutdown::{DRAIN_TIME, Shutdown};
use site::Site;
pub use thread_limit::why_no_threads;

/// Settings of a model; each model uses those that apply to it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Size of a pool, or number of event loops; if `None`, the model chooses a default for this
    /// machine.
    pub workers: Option<NonZeroUsize>,
    /// Most connections served at once; further ones wait in the listen backlog. Event loops with
    /// listeners of their own divide this number among them.
    pub max_connections: NonZeroUsize,
    /// Time limits for clients.
    pub timeouts: Timeouts,
}

impl Options {
    /// Returns the number of workers, each of which serves one connection at a time and mostly
    /// waits.
    fn blocking_workers(&self) -> usize {
        let workers = self.workers.map_or(cpus() * BLOCKING_WORKERS_PER_CPU, NonZeroUsize::get);
        workers.min(self.max_connections.get())
    }

    /// Returns the number of event loops: `workers`, or one for each processor that this process
    /// may use, but no more than `max_connections`.
    fn event_loops(&self) -> usize {
        event_loops(self.workers).min(self.max_connections.get())
    }

    /// Returns these options for the event loops of a model where `workers` is the size of a pool
    /// beside them.
    #[cfg(any(feature = "compio", feature = "smol", feature = "tokio"))]
    fn beside_pool(self) -> Self {
        Self { workers: None, ..self }
    }

    fn service(&self, site: Arc<Site>) -> Service {
        Service::new(site, self.timeouts, HandlerPlacement::InPlace)
    }
}

/// Workers per processor if the user sets no number: many, because they mostly wait. Apache httpd
/// starts at most 400 threads, Tomcat 200.
const BLOCKING_WORKERS_PER_CPU: usize = 256;

/// Returns the requested number of event loops, or one for each processor.
fn event_loops(workers: Option<NonZeroUsize>) -> usize {
    workers.map_or_else(cpus, NonZeroUsize::get)
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
