//! One thread with epoll by hand, edge-triggered: a socket is reported once, when it becomes ready.
//!
//! The kernel does not check every reported socket again, and the loop has to remember those that
//! it has not read or written to the end. A read that did not fill the buffer has reached the end,
//! so that no call is made only to learn that there is no more data.

use std::io;
use std::sync::Arc;

use crate::readiness::event_loop::EventLoop;
use crate::readiness::raw_epoll::{RawEpoll, Trigger};
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let poller = RawEpoll::new(Trigger::Edge)?;
    let service = options.service(site);
    EventLoop::new(poller, service, options.max_connections.get()).serve(&listener, &shutdown)
}
