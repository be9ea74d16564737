//! Every concurrency model of c10k behind one trait, serving the same bytes through the same HTTP code.
//!
//! A model decides only who waits for what, and where. What it serves is the [`Site`](site::Site), how it speaks HTTP is
//! the [`http::Connection`], where its connections come from is the [`Listener`].

mod blocking;
// Whole only where all who share it are.
#[cfg(any(feature = "compio", feature = "may", feature = "smol", feature = "tokio"))]
#[cfg_attr(not(all(feature = "may", feature = "tokio")), allow(dead_code))]
mod calls;
mod children;
// Where there is no epoll, nobody runs handlers elsewhere.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod event_loop;
pub mod http;
#[cfg(any(feature = "smol", target_os = "linux"))]
mod jobs;
mod listener;
#[cfg(target_os = "linux")]
mod loops;
#[cfg(target_os = "linux")]
mod mailbox;
mod memory;
pub mod mix;
mod model;
mod open_connections;
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod peer;
mod pool;
#[cfg(target_os = "linux")]
mod raw_epoll;
#[cfg(target_os = "linux")]
mod room;
mod shutdown;
pub mod site;
mod sweep;
#[cfg(any(feature = "tokio", feature = "smol", all(target_os = "linux", feature = "compio")))]
mod tasks;
#[cfg_attr(not(all(target_os = "linux", feature = "may")), allow(dead_code))]
mod threads;
mod timers;
#[cfg(target_os = "linux")]
mod uring;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use http::{Handlers, Service, Timeouts};
pub use listener::{Listener, Listening};
pub use memory::Reserve;
pub use model::{Accepts, AtOnce, Entry, ROSTER, Runs, Traits, Waits, find};
pub use shutdown::{DRAIN_TIME, Shutdown};
use site::Site;
pub use threads::why_none as why_no_threads;

/// The allocator of the whole program, which in Rust ends it at the first thing for which there is no memory.
#[cfg(feature = "reserve")]
#[global_allocator]
static ALLOCATOR: memory::Reserve = memory::Reserve;

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
    /// Size of a pool, or number of event loops; without it, what the model finds sensible for this machine.
    pub workers: Option<NonZeroUsize>,
    /// Connections served at once; further ones wait in the listen backlog. Loops with listeners of their own divide it.
    pub max_connections: NonZeroUsize,
    /// How long clients may take.
    pub timeouts: Timeouts,
}

impl Options {
    /// How many workers there are, of which each takes one connection at a time and mostly waits.
    fn blocking_workers(&self) -> usize {
        let workers = self.workers.map_or(cpus() * BLOCKING_WORKERS_PER_CPU, NonZeroUsize::get);
        workers.min(self.max_connections.get())
    }

    /// How many event loops there are: one for each processor that this process may use.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    fn event_loops(&self) -> usize {
        event_loops(self.workers).min(self.max_connections.get())
    }

    /// The same for event loops where `workers` is the size of a pool beside them.
    #[cfg(any(feature = "tokio", feature = "smol", all(target_os = "linux", feature = "compio")))]
    fn beside_pool(self) -> Self {
        Self { workers: None, ..self }
    }

    fn service(&self, site: Arc<Site>) -> Service {
        Service::new(site, self.timeouts, Handlers::InPlace)
    }
}

/// Workers per processor where nobody says how many: they mostly wait. Apache httpd starts 400 threads at the most,
/// Tomcat 200.
const BLOCKING_WORKERS_PER_CPU: usize = 256;

/// As many event loops as are asked for, or one for each processor.
fn event_loops(workers: Option<NonZeroUsize>) -> usize {
    workers.map_or_else(cpus, NonZeroUsize::get)
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
