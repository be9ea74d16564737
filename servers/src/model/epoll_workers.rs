//! One event loop for input and output, a pool of threads for handlers.
//!
//! The loop, that of `epoll-edge`, reads and parses, and no handler runs on it: every request is given to the pool, and its
//! reply comes back through a queue to be written. So a handler that blocks takes a thread and stalls nobody else; a handler
//! that takes no time pays for two hand-overs and two wake-ups all the same.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use crate::event_loop::{EventLoop, Token};
use crate::http::{Handlers, Job, Reply, Service};
use crate::jobs::Jobs;
use crate::mailbox::Mailbox;
use crate::pool::start_worker;
use crate::raw_epoll::{RawEpoll, Trigger};
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site};

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    Box::new(EpollWorkers { options })
}

struct EpollWorkers {
    options: Options,
}

impl ConcurrencyModel for EpollWorkers {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let (jobs, replies) = (Arc::new(Jobs::default()), Arc::new(Mailbox::new()?));
        let workers = self.options.blocking_workers();
        // Also if the start fails with some of them.
        let _end = jobs.close_at_end();
        for started in 0..workers {
            let (jobs, replies) = (Arc::clone(&jobs), Arc::clone(&replies));
            start_worker(started, workers, move || work(&jobs, &replies))?;
        }
        let service = Service::new(site, self.options.timeouts, Handlers::OffloadAll);
        let max_connections = self.options.max_connections.get();
        let mut event_loop = EventLoop::new(RawEpoll::new(Trigger::Edge)?, service, max_connections);
        event_loop.watch_wake(replies.as_fd())?;
        event_loop.serve_and(&listener, &shutdown, |event_loop, woken| {
            if woken.wake {
                for (token, reply) in replies.take() {
                    event_loop.finish_job(token, &reply);
                }
            }
            if !jobs.give(event_loop.jobs()) {
                event_loop.refuse_jobs();
            }
        })
    }
}

/// What a worker does until no more jobs can come.
fn work(jobs: &Jobs<(Token, Job)>, replies: &Mailbox<(Token, Reply<'static>)>) {
    while let Some((token, job)) = jobs.take() {
        replies.put((token, job.run()));
    }
}
