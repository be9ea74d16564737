//! An event loop per processor, each with a listener of its own on the same address
//! (`SO_REUSEPORT`): nothing is shared.
//!
//! Each loop is the one of `epoll-edge`. The kernel distributes new connections by a hash of their
//! addresses, so that no loop ever waits for another, and no loop helps another either: with few
//! connections, one loop may have all of them. Each loop has its share of the server's connection
//! limit; a full loop leaves further connections in its own backlog.

use std::io;
use std::sync::Arc;

use crate::net::shards::{connection_limits, run_each};
use crate::readiness::event_loop::EventLoop;
use crate::readiness::raw_epoll::{RawEpoll, Trigger};
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let shards = listener.into_shards(options.event_loops())?;
    let shards = shards.into_iter().zip(connection_limits(&options));
    run_each(shards, &shutdown, |(listener, max_connections)| {
        let poller = RawEpoll::new(Trigger::Edge)?;
        let service = options.service(Arc::clone(&site));
        EventLoop::new(poller, service, max_connections).serve(&listener, &shutdown)
    })
}
