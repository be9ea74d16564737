//! Timer that wakes a worker at an exact time.
//!
//! `epoll_wait` takes whole milliseconds only. `epoll_pwait2` takes nanoseconds, but kernels before
//! 5.11 and some security profiles refuse it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{Timespec, epoll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// Key of the timer's events; no connection has it.
const TIMER: u64 = u64::MAX;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Timer in the event queue of a worker. Its events only wake the worker: they are edge-triggered
/// and need no read.
#[derive(Debug)]
pub(super) struct Timer {
    fd: OwnedFd,
    /// Time that the timer is set to. A worker that wakes earlier does not set the same time again.
    set_to: u64,
}

impl Timer {
    /// Makes a timer whose events arrive at `epoll`.
    pub fn new(epoll: &OwnedFd) -> io::Result<Self> {
        let fd = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(epoll, &fd, epoll::EventData::new_u64(TIMER), flags)?;
        Ok(Self { fd, set_to: 0 })
    }

    /// Sets the timer to `wake_at`, which is after `now`; both are nanoseconds of the run's clock.
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
        // The descriptor and the time are valid; even if the call failed, the worker would wake at
        // its next tick.
        let _ = timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once);
    }
}
