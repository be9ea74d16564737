//! One thread with many connections: the kernel keeps the list of sockets and reports those that
//! are ready, through the `polling` crate.
//!
//! This is the solution to the C10K problem: the cost of a turn depends on the ready connections,
//! not on all of them. It is level-triggered, so that one read per event is enough, and a
//! connection with more data waits for its turn like the others.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use polling::{Event, Events, PollMode};

use crate::readiness::connection::Interest;
use crate::readiness::event_loop::{EventLoop, Poller, Ready, Timeout};
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let poller = Polling { poller: polling::Poller::new()?, events: Events::new() };
    let service = options.service(site);
    EventLoop::new(poller, service, options.max_connections.get()).serve(&listener, &shutdown)
}

struct Polling {
    poller: polling::Poller,
    events: Events,
}

impl Poller for Polling {
    fn watch(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        self.add(fd, key)
    }

    fn unwatch(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        self.remove(fd, key)
    }

    fn add(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        // SAFETY: a descriptor is removed before it is closed, as the trait says.
        unsafe { self.poller.add_with_mode(&fd, Event::readable(key), PollMode::Level) }
    }

    fn change(&mut self, fd: BorrowedFd<'_>, key: usize, interest: Interest) -> io::Result<()> {
        let event = match interest {
            Interest::Readable => Event::readable(key),
            Interest::Writable => Event::writable(key),
            Interest::Nothing => Event::none(key),
        };
        self.poller.modify_with_mode(fd, event, PollMode::Level)
    }

    fn remove(&mut self, fd: BorrowedFd<'_>, _key: usize) -> io::Result<()> {
        self.poller.delete(fd)
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Timeout) -> io::Result<()> {
        self.events.clear();
        self.poller.wait(&mut self.events, timeout.left())?;
        ready.extend(self.events.iter().map(|event| Ready { key: event.key, ends: false }));
        Ok(())
    }
}
