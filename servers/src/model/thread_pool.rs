//! A fixed set of threads: one thread accepts and hands connections through a bounded queue to workers, each of which
//! serves one connection at a time from its first octet to its last.
//!
//! Simple handlers, a bounded number of threads, isolation by the stack. A worker is taken for as long as its connection
//! lives, idle or not: the connection after the last free worker waits, however little the others have to do.

use std::io;
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, SendTimeoutError, Sender, bounded};

use super::{Accepts, Entry, Runs, Traits, Waits};
use crate::blocking::{READ_BYTES, serve_connection};
use crate::http::Service;
use crate::open_connections::OpenConnections;
use crate::{ConcurrencyModel, DRAIN_TIME, Listener, Options, Shutdown, Site};

/// Workers per processor where nobody says how many: they mostly wait. Apache httpd starts 400 threads at the most,
/// Tomcat 200.
const DEFAULT_WORKERS_PER_CPU: usize = 256;

/// Stack of a worker; its buffer is on the heap, and only touched pages take memory.
const STACK_BYTES: usize = 256 * 1024;

/// How soon the acceptor sees a shutdown while the queue is full.
const FULL_QUEUE_CHECK: Duration = Duration::from_millis(50);

pub const ENTRY: Entry = Entry {
    name: "thread-pool",
    about: "a fixed set of threads fed by one acceptor through a bounded queue",
    traits: Traits { waits: Waits::Blocking, runs: Runs::Pool, accepts: Accepts::OneAcceptor },
    build: |options: &Options| Box::new(ThreadPool::new(options)),
};

struct ThreadPool {
    workers: usize,
    /// Accepted connections that may wait for a worker.
    queue: usize,
}

impl ThreadPool {
    fn new(options: &Options) -> Self {
        let cpus = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let max = options.max_connections.get();
        let workers = options.workers.map_or(cpus * DEFAULT_WORKERS_PER_CPU, NonZeroUsize::get).min(max);
        Self { workers, queue: workers.min(max - workers) }
    }
}

impl ConcurrencyModel for ThreadPool {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let (queue, waiting) = bounded(self.queue);
        let open = Arc::new(OpenConnections::default());
        // Nothing is ever sent on it: it tells the end of the last worker.
        let (alive, all_ended) = bounded::<()>(0);
        for started in 0..self.workers {
            let (waiting, open, site, alive) =
                (waiting.clone(), Arc::clone(&open), Arc::clone(&site), alive.clone());
            thread::Builder::new()
                .name("worker".into())
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    work(&waiting, &open, site);
                    drop(alive);
                })
                .map_err(|error| {
                    let message = format!(
                        "cannot start worker {} of {}: {error}; ask for fewer with --workers",
                        started + 1,
                        self.workers
                    );
                    io::Error::new(error.kind(), message)
                })?;
        }
        drop((waiting, alive));
        while let Some(stream) = listener.wait_accept(&shutdown)? {
            hand_over(&queue, stream, &shutdown);
        }
        drop((listener, queue));
        open.end_input();
        if all_ended.recv_timeout(DRAIN_TIME).is_err_and(|error| error.is_timeout()) {
            open.cut();
        }
        Ok(())
    }
}

/// What a worker does until the queue ends.
fn work(waiting: &Receiver<TcpStream>, open: &OpenConnections, site: Arc<Site>) {
    let (mut service, mut buffer) = (Service::new(site), vec![0; READ_BYTES]);
    for stream in waiting {
        let stream = open.register(stream);
        // An error of this connection is its end and nobody else's.
        let _ = serve_connection(&stream, &mut service, &mut buffer);
    }
}

/// Waits for room in the queue; the rest of the world waits in the listen backlog meanwhile.
fn hand_over(queue: &Sender<TcpStream>, mut stream: TcpStream, shutdown: &Shutdown) {
    while let Err(SendTimeoutError::Timeout(back)) = queue.send_timeout(stream, FULL_QUEUE_CHECK) {
        if shutdown.is_signalled() {
            return;
        }
        stream = back;
    }
}
