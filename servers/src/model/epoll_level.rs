//! One thread with epoll by hand, level-triggered: `epoll` without the library in between.
//!
//! This is the control that separates the cost of a library from the cost of the mechanism: the
//! same loop, and nothing but `epoll_wait` between two turns. A socket is reported for as long as
//! it is ready, so that one read per event is enough.

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
    let poller = RawEpoll::new(Trigger::Level)?;
    let service = options.service(site);
    EventLoop::new(poller, service, options.max_connections.get()).serve(&listener, &shutdown)
}
