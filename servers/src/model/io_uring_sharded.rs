//! A thread per processor, each with an io_uring and a listener of its own on the same address (`SO_REUSEPORT`).
//!
//! Each loop is that of `io-uring`, dealt out like those of `epoll-sharded`, and with what that is good and bad at: nothing
//! is shared, and nobody helps. A ring belongs to the thread that made it, so that the kernel needs no lock for it.

use std::io;
use std::sync::Arc;

use crate::loops::{connections_by_loop, run_each};
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site, uring};

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    Box::new(IoUringSharded { options })
}

struct IoUringSharded {
    options: Options,
}

impl ConcurrencyModel for IoUringSharded {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let shards = listener.into_shards(self.options.event_loops())?;
        let shards = shards.into_iter().zip(connections_by_loop(&self.options));
        run_each(shards, &shutdown, |(listener, max_connections)| {
            uring::serve(&listener, self.options.service(Arc::clone(&site)), max_connections, &shutdown)
        })
    }
}
