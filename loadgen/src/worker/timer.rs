//! Wakes a worker at an exact time: `epoll_wait` knows whole milliseconds only, and `epoll_pwait2`, which knows nanoseconds, is refused by kernels before 5.11 and by some security profiles.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{Timespec, epoll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// Key of its events, which is that of no connection.
const TIMER: u64 = u64::MAX;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A timer among the sockets of a worker. Its events only wake: edge-triggered, they need no read.
#[derive(Debug)]
pub(super) struct Timer {
    fd: OwnedFd,
    /// What it was set to last, so that a time is set once however often the worker wakes before.
    set_to: u64,
}

impl Timer {
    /// Makes one that reports to `epoll`.
    pub fn new(epoll: &OwnedFd) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(epoll, &fd, epoll::EventData::new_u64(TIMER), flags)?;
        Ok(Self { fd, set_to: 0 })
    }

    /// Has the worker woken at `wake_at`, which is after `now`; both are nanoseconds of the run's clock.
    pub fn arm(&mut self, wake_at: u64, now: u64) {
        if self.set_to == wake_at {
            return;
        }
        self.set_to = wake_at;
        let left = wake_at - now;
        let it_value = Timespec {
            tv_sec: (left / NANOS_PER_SECOND).cast_signed(),
            tv_nsec: (left % NANOS_PER_SECOND).cast_signed(),
        };
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        // The descriptor is ours and the time is valid; if it failed, the worker would look up at the next tick.
        let _ = timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once);
    }
}
