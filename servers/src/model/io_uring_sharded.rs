//! A thread per processor, each with an `io_uring` and a listener of its own on the same address
//! (`SO_REUSEPORT`).
//!
//! Each loop is the one of `io-uring`. Connections are distributed as in `epoll-sharded`, with the
//! same advantage and drawback: nothing is shared, and no loop helps another. A ring belongs to one
//! thread, so that the kernel needs no lock for it.

use std::io;
use std::sync::Arc;

use crate::completion::{event_loop, ring};
use crate::net::shards::{connection_limits, run_each};
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let shards = listener.into_shards(options.event_loops())?;
    // All rings are created before any connection is served: if that fails, the server does not
    // start.
    let rings = shards.iter().map(|_| ring::open()).collect::<io::Result<Vec<_>>>()?;
    let loops = rings.into_iter().zip(shards).zip(connection_limits(&options));
    run_each(loops, &shutdown, |((io_uring, listener), max_connections)| {
        let service = options.service(Arc::clone(&site));
        event_loop::serve(io_uring, &listener, service, max_connections, &shutdown)
    })
}
