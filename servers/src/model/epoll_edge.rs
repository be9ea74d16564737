//! One thread with epoll by hand, edge-triggered: a socket is told about once, when it becomes ready.
//!
//! The kernel spares itself a second look at every socket that was ready, and the loop has to remember which it has not
//! read or written to the end. A read that had room for more has reached the end, so that no call is made only to hear that
//! there is nothing.

use std::io;
use std::sync::Arc;

use crate::event_loop::EventLoop;
use crate::raw_epoll::{RawEpoll, Trigger};
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
