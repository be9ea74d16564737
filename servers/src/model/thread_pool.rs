//! A fixed set of threads: one thread accepts and hands connections through a bounded queue to workers, each of which
//! serves one connection at a time from its first octet to its last.
//!
//! Simple handlers, a bounded number of threads, isolation by the stack. A worker is taken for as long as its connection
//! lives, idle or not: the connection after the last free worker waits, however little the others have to do.

use std::io;
use std::sync::Arc;

use crossbeam::channel::bounded;

use crate::open_connections::{OpenConnections, Registered};
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site, pool};

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
        let open = OpenConnections::until(&shutdown)?;
        let pool = pool::start(self.options, &site, &shutdown, move || waiting.recv().ok())?;
        while let Some(stream) = listener.wait_accept(&shutdown)? {
            // While the queue is full, the rest of the world waits in the listen backlog.
            let _ = queue.send(open.register(stream));
        }
        let left: Vec<Registered> = listener.close_blocking().map(|stream| open.register(stream)).collect();
        for stream in left {
            let _ = queue.send(stream);
        }
        drop(queue);
        pool.await_end(&shutdown);
        Ok(())
    }
}
