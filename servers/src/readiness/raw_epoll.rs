//! Epoll instance by hand (epoll(7)), shared by the models that use epoll without a library.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use crate::readiness::connection::Interest;
use crate::readiness::event_loop::{Poller, Ready, Timeout};

/// Most events taken per wait; further ones come with the next wait.
const EVENTS_PER_WAIT: usize = 512;

/// Condition under which the kernel reports a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// At every wait, for as long as the connection is ready.
    Level,
    /// Once, when the connection becomes ready: the kernel does not check it again at the next
    /// wait, and the loop must remember its unfinished work.
    Edge,
}

/// Sockets that one thread waits for.
pub struct RawEpoll {
    instance: OwnedFd,
    trigger: Trigger,
    events: Vec<epoll::Event>,
    /// Timer for waits that must end at an exact time, because epoll itself counts milliseconds
    /// before Linux 5.11. It is created at the first such wait.
    timer: Option<Timer>,
}

/// Descriptor that becomes readable at a set time.
struct Timer {
    timerfd: OwnedFd,
    /// Time to which the timer was last set.
    until: Instant,
}

/// Key of the timer, which no socket has.
const TIMER: usize = usize::MAX;

impl RawEpoll {
    pub fn new(trigger: Trigger) -> io::Result<Self> {
        let instance = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { instance, trigger, events: Vec::with_capacity(EVENTS_PER_WAIT), timer: None })
    }

    /// Makes the next wait end at `until`.
    fn set_timer(&mut self, until: Instant) -> io::Result<()> {
        let now = Instant::now();
        let timer = match &mut self.timer {
            Some(timer) if timer.until == until => return Ok(()),
            Some(timer) => timer,
            none => {
                let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
                let timerfd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
                // Edge-triggered: each expiry is reported once, and setting the timer again is
                // enough.
                let told = epoll::EventFlags::IN | epoll::EventFlags::ET;
                epoll::add(&self.instance, &timerfd, data(TIMER), told)?;
                none.insert(Timer { timerfd, until: now })
            }
        };
        // Zero would mean never.
        let left = until.saturating_duration_since(now).max(Duration::from_nanos(1));
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let at = Timespec::try_from(left).map_err(io::Error::other)?;
        let at = Itimerspec { it_interval: once, it_value: at };
        timerfd_settime(&timer.timerfd, TimerfdTimerFlags::empty(), &at)?;
        timer.until = until;
        Ok(())
    }

    fn flags(&self, interest: Interest) -> epoll::EventFlags {
        let flags = match interest {
            Interest::Readable => epoll::EventFlags::IN,
            Interest::Writable => epoll::EventFlags::OUT,
            Interest::Nothing => epoll::EventFlags::empty(),
        };
        match self.trigger {
            Trigger::Level => flags,
            // If the end of the stream arrives before the bytes in front of it are read, it causes
            // no separate edge.
            Trigger::Edge => flags | epoll::EventFlags::ET | epoll::EventFlags::RDHUP,
        }
    }
}

impl Poller for RawEpoll {
    fn is_edge_triggered(&self) -> bool {
        self.trigger == Trigger::Edge
    }

    fn watch(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        Ok(epoll::add(&self.instance, fd, data(key), epoll::EventFlags::IN)?)
    }

    fn unwatch(&mut self, fd: BorrowedFd<'_>, _key: usize) -> io::Result<()> {
        Ok(epoll::delete(&self.instance, fd)?)
    }

    fn add(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        Ok(epoll::add(&self.instance, fd, data(key), self.flags(Interest::Readable))?)
    }

    fn change(&mut self, fd: BorrowedFd<'_>, key: usize, interest: Interest) -> io::Result<()> {
        // The kernel checks if the socket is ready now, so that no edge is lost.
        Ok(epoll::modify(&self.instance, fd, data(key), self.flags(interest))?)
    }

    fn remove(&mut self, _fd: BorrowedFd<'_>, _key: usize) -> io::Result<()> {
        // The kernel forgets a socket when it is closed.
        Ok(())
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Timeout) -> io::Result<()> {
        if let Some(until) = timeout.until {
            self.set_timer(until)?;
        }
        let timeout = timeout.about.and_then(|timeout| Timespec::try_from(timeout).ok());
        self.events.clear();
        match epoll::wait(&self.instance, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let end = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        let told = self.events.iter().map(|&epoll::Event { flags, data, .. }| Ready {
            key: data.u64() as usize,
            ends: flags.intersects(end),
        });
        ready.extend(told.filter(|ready| ready.key != TIMER));
        Ok(())
    }
}

fn data(key: usize) -> epoll::EventData {
    epoll::EventData::new_u64(key as u64)
}
