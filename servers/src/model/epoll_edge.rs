//! One thread with epoll by hand, edge-triggered: a socket is reported once, when it becomes ready.
//!
//! The kernel does not check every reported socket again, and the loop has to remember those that
//! it has not read or written to the end. A read that did not fill the buffer has reached the end,
//! so that no call is made only to learn that there is no more data.

use std::io;
use std::sync::Arc;

use crate::readiness::event_loop::EventLoop;
use crate::readiness::raw_epoll::{RawEpoll, Trigger};
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site};

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    Box::new(EpollEdge { options })
}

struct EpollEdge {
    options: Options,
}

impl ConcurrencyModel for EpollEdge {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let (poller, service) = (RawEpoll::new(Trigger::Edge)?, self.options.service(site));
        EventLoop::new(poller, service, self.options.max_connections.get()).serve(&listener, &shutdown)
    }
}
