//! Settings of a model, and the numbers that follow from them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use crate::http::{HandlerPlacement, Service, Timeouts};
use crate::site::Site;

/// Workers per processor if the user sets no number: many, because they mostly wait. Apache httpd
/// starts at most 400 threads, Tomcat 200.
const BLOCKING_WORKERS_PER_CPU: usize = 256;

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
    pub(crate) fn blocking_workers(&self) -> usize {
        let workers = self.workers.map_or(cpus() * BLOCKING_WORKERS_PER_CPU, NonZeroUsize::get);
        workers.min(self.max_connections.get())
    }

    /// Returns the number of event loops: `workers`, or one for each processor that this process
    /// may use, but no more than `max_connections`.
    pub(crate) fn event_loops(&self) -> usize {
        event_loops(self.workers).min(self.max_connections.get())
    }

    /// Returns these options for the event loops of a model where `workers` is the size of a pool
    /// beside them.
    #[cfg(any(feature = "compio", feature = "smol", feature = "tokio"))]
    pub(crate) fn beside_pool(self) -> Self {
        Self { workers: None, ..self }
    }

    pub(crate) fn service(&self, site: Arc<Site>) -> Service {
        Service::new(site, self.timeouts, HandlerPlacement::InPlace)
    }
}

/// Returns the requested number of event loops, or one for each processor.
pub fn event_loops(workers: Option<NonZeroUsize>) -> usize {
    workers.map_or_else(cpus, NonZeroUsize::get)
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
