//! A fixed set of threads: one thread accepts and hands connections through a bounded queue to workers, each of which
//! serves one connection at a time from its first octet to its last.
//!
//! Simple handlers, a bounded number of threads, isolation by the stack. A worker is taken for as long as its connection
//! lives, idle or not: the connection after the last free worker waits, however little the others have to do.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{SendTimeoutError, Sender, bounded};

use crate::open_connections::{OpenConnections, Registered};
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site, pool};

/// How soon the acceptor sees the end of the drain time while the queue is full.
const FULL_QUEUE_CHECK: Duration = Duration::from_millis(50);

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    Box::new(ThreadPool { options })
}

struct ThreadPool {
    options: Options,
}

impl ConcurrencyModel for ThreadPool {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let (workers, max) = (self.options.blocking_workers(), self.options.max_connections.get());
        let (queue, waiting) = bounded(workers.min(max - workers));
        let _end = shutdown.signal_at_end();
        let open = OpenConnections::until(&shutdown)?;
        let pool = pool::start(self.options, &site, &shutdown, move || waiting.recv().ok())?;
        while let Some(stream) = listener.wait_accept(&shutdown)? {
            if let Some(stream) = open.register(stream) {
                hand_over(&queue, stream, &shutdown);
            }
        }
        let left: Vec<Registered> =
            listener.close_blocking().filter_map(|stream| open.register(stream)).collect();
        for stream in left {
            hand_over(&queue, stream, &shutdown);
        }
        drop(queue);
        pool.await_end(&shutdown);
        Ok(())
    }
}

/// Waits for room in the queue, and the rest of the world in the listen backlog; at a stop as long as there is time left.
fn hand_over(queue: &Sender<Registered>, mut stream: Registered, shutdown: &Shutdown) {
    while let Err(SendTimeoutError::Timeout(back)) = queue.send_timeout(stream, FULL_QUEUE_CHECK) {
        if shutdown.is_signalled() && shutdown.drain_time_left().is_zero() {
            return;
        }
        stream = back;
    }
}
