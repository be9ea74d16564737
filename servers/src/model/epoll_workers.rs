//! One event loop for input and output, and a pool of threads for handlers.
//!
//! The loop, which is the one of `epoll-edge`, reads and parses, and no handler runs on it: every
//! request goes to the pool, and its reply comes back through a queue to be written. So a handler
//! that blocks takes one thread and stalls no other connection. A handler that takes no time also
//! pays for two hand-overs and two wake-ups.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use crate::blocking::handler_pool::HandlerPool;
use crate::http::{HandlerPlacement, Job, Reply, Service};
use crate::readiness::event_loop::{EventLoop, Token};
use crate::readiness::mailbox::Mailbox;
use crate::readiness::raw_epoll::{RawEpoll, Trigger};
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let pool = Arc::new(HandlerPool::<(Token, Job)>::default());
    let replies = Arc::new(Mailbox::<(Token, Reply<'static>)>::new()?);
    // Closes the queue also if only some of the threads could be started.
    let _end = pool.close_at_end();
    let answered = Arc::clone(&replies);
    pool.start_threads(options.handler_pool(), move |(token, job)| {
        answered.put((token, job.run()));
    })?;
    let service = Service::new(site, options.timeouts, HandlerPlacement::OffloadAll);
    let max_connections = options.max_connections.get();
    let mut event_loop = EventLoop::new(RawEpoll::new(Trigger::Edge)?, service, max_connections);
    event_loop.watch_wake(replies.as_fd())?;
    event_loop.serve_and(&listener, &shutdown, |event_loop, woken| {
        if woken.wake {
            for (token, reply) in replies.take() {
                event_loop.finish_job(token, &reply);
            }
        }
        pool.give(event_loop.jobs());
    })
}
