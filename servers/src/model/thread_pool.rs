//! A fixed set of threads: one thread accepts and hands connections through a bounded queue to
//! workers, each of which serves one connection at a time from its first byte to its last.
//!
//! Handlers are simple, the number of threads is bounded, and each stack isolates its connection. A
//! worker is occupied for as long as its connection lives, idle or not: when no worker is free, the
//! next connection waits, even if the workers have little to do.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{SendTimeoutError, Sender, bounded};

use crate::blocking::open_connections::{OpenConnections, Registered};
use crate::blocking::pool;
use crate::{Listener, Options, Shutdown, Site};

/// Interval at which the acceptor checks for the end of the drain time while the queue is full.
const FULL_QUEUE_CHECK: Duration = Duration::from_millis(50);

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let workers = options.blocking_workers();
    let max = options.max_connections.get();
    let (queue, waiting) = bounded(workers.min(max - workers));
    let _end = shutdown.signal_at_end();
    let open = OpenConnections::until(&shutdown)?;
    let pool = pool::start(options, &site, &shutdown, move || waiting.recv().ok())?;
    while let Some(stream) = listener.wait_accept(&shutdown)? {
        hand_over(&queue, open.register(stream), &shutdown);
    }
    let left: Vec<Registered> =
        listener.close_blocking().map(|stream| open.register(stream)).collect();
    for stream in left {
        hand_over(&queue, stream, &shutdown);
    }
    drop(queue);
    pool.await_end(&shutdown);
    Ok(())
}

/// Puts a connection into the queue, and waits while the queue is full; other clients wait in the
/// listen backlog. In a stopping server, it waits only until the end of the drain time.
fn hand_over(queue: &Sender<Registered>, mut stream: Registered, shutdown: &Shutdown) {
    while let Err(SendTimeoutError::Timeout(back)) = queue.send_timeout(stream, FULL_QUEUE_CHECK) {
        if shutdown.is_signalled() && !shutdown.has_drain_time() {
            return;
        }
        stream = back;
    }
}
