//! Settings of a model, and the numbers that follow from them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use crate::http::{HandlerPlacement, Service, Timeouts};
use crate::site::Site;

/// Size of a pool per processor if the user sets none: large, because its threads or processes
/// mostly wait. Apache httpd starts at most 400 threads, Tomcat 200.
const POOL_PER_CPU: usize = 256;

/// Settings of a model; each model uses those that apply to it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Number of workers, threads of a runtime or event loops that serve connections, in models
    /// that have several; if `None`, the model chooses a default for this machine.
    pub workers: Option<NonZeroUsize>,
    /// Number of threads that run handlers, in models that have such threads beside those that
    /// serve connections; if `None`, a default for this machine.
    pub handler_threads: Option<NonZeroUsize>,
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
        self.pool(self.workers)
    }

    /// Returns the number of threads that run handlers.
    pub(crate) fn handler_pool(&self) -> usize {
        self.pool(self.handler_threads)
    }

    /// Returns the size of a pool: the requested one or the default, but no more than
    /// `max_connections`, since a connection has one request at a time.
    fn pool(&self, requested: Option<NonZeroUsize>) -> usize {
        let size = requested.map_or(cpus() * POOL_PER_CPU, NonZeroUsize::get);
        size.min(self.max_connections.get())
    }

    /// Returns the number of event loops: `workers`, or one for each processor that this process
    /// may use, but no more than `max_connections`.
    pub(crate) fn event_loops(&self) -> usize {
        event_loops(self.workers).min(self.max_connections.get())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_and_handler_threads_are_set_apart_from_each_other() {
        let options = |workers, handler_threads| Options {
            workers: NonZeroUsize::new(workers),
            handler_threads: NonZeroUsize::new(handler_threads),
            max_connections: NonZeroUsize::new(100).unwrap(),
            timeouts: Timeouts::default(),
        };
        let both = options(3, 7);
        assert_eq!((both.event_loops(), both.handler_pool()), (3, 7));
        let defaults = options(0, 0);
        assert_eq!(options(3, 0).handler_pool(), defaults.handler_pool());
        assert_eq!(options(0, 7).event_loops(), defaults.event_loops());
        assert_eq!(options(3, 700).handler_pool(), 100);
    }
}
