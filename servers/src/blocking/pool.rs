//! Fixed set of threads that each serve one connection at a time, shared by the models with such a
//! pool. It also has the functions that start one thread of a pool, for connections or handlers.

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::blocking::connection::{READ_BYTES, STACK_BYTES, serve_connection};
use crate::blocking::open_connections::Registered;
use crate::thread_limit::start_error;
use crate::{Options, Shutdown, Site};

/// A running pool.
#[derive(Debug)]
pub struct Pool {
    /// Channel on which nothing is ever sent; it closes when the last worker ends.
    workers: Receiver<Infallible>,
}

impl Pool {
    /// Waits until all workers have ended, but no longer than the drain time.
    pub fn await_end(self, shutdown: &Shutdown) {
        let _ = self.workers.recv_timeout(shutdown.drain_time_left());
    }
}

/// Starts the threads. Each serves the connections that `next` returns, until it returns `None`.
pub fn start(
    options: Options,
    site: &Arc<Site>,
    shutdown: &Shutdown,
    next: impl Fn() -> Option<Registered> + Clone + Send + 'static,
) -> io::Result<Pool> {
    let workers = options.blocking_workers();
    let (alive, pool) = bounded(0);
    for started in 0..workers {
        let (site, shutdown, next, alive) =
            (Arc::clone(site), shutdown.clone(), next.clone(), alive.clone());
        // Allocated here, so that a lack of memory fails the start and not the running server.
        let mut service = options.service(site);
        let mut buffer = Vec::with_capacity(READ_BYTES);
        let work = move || {
            while let Some(stream) = next() {
                // An error ends only this connection.
                let _ = serve_connection(&*stream, &mut service, &mut buffer, &shutdown);
            }
            drop::<Sender<Infallible>>(alive);
        };
        start_worker(started, workers, work)?;
    }
    Ok(Pool { workers: pool })
}

/// Starts one of `workers` threads that serve connections; an error names the next step.
pub fn start_worker(
    started: usize,
    workers: usize,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let place = started + 1;
    start_thread("worker", format_args!("worker {place} of {workers} (--workers)"), work)
}

/// Starts one of `threads` threads that run handlers; an error names the next step.
pub fn start_handler_thread(
    started: usize,
    threads: usize,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let place = started + 1;
    start_thread(
        "handler",
        format_args!("handler thread {place} of {threads} (--handler-threads)"),
        work,
    )
}

fn start_thread(
    name: &str,
    described: impl Display,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    let started = builder.spawn(work).map(|_| ());
    started.map_err(|error| start_error(described, &error))
}
