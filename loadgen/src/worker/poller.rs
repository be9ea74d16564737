//! The event queue of a worker: epoll, and a timer for times that are too exact for epoll.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::timer::Timer;
use crate::clock::nanos;
use crate::plan::TICK;

#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    timer: Timer,
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { timer: Timer::new(&epoll)?, epoll })
    }

    /// Begins to report these events of a socket, with `key`.
    pub fn add(&self, socket: impl AsFd, key: u64, events: epoll::EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(key), events)?)
    }

    /// Reports these events of a registered socket from now on, with `key`. Events that are already
    /// pending are reported again.
    pub fn modify(&self, socket: impl AsFd, key: u64, events: epoll::EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(key), events)?)
    }

    /// Stops reporting events of a socket.
    pub fn remove(&self, socket: impl AsFd) {
        // The socket is registered; nothing else can be wrong with the call (epoll_ctl(2)).
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Takes the events that are pending, or that come before `wake_at`, which is after `now`, and
    /// within a tick. Both are nanoseconds of the run's clock.
    pub fn wait_until(&mut self, wake_at: u64, now: u64, events: &mut Vec<epoll::Event>) {
        if wake_at < now + nanos(TICK) {
            self.timer.arm(wake_at, now);
        }
        self.wait(TICK, events);
    }

    /// Takes the events that are pending, or that come within `timeout`. The timeout is whole
    /// milliseconds, because no kernel refuses such a call; the timer provides the exact times.
    pub fn wait(&self, timeout: Duration, events: &mut Vec<epoll::Event>) {
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() };
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            // The descriptor and the buffer are ours; nothing else can be wrong with the call
            // (epoll_wait(2)).
            Err(error) => panic!("epoll_wait: {error}"),
        }
    }
}
