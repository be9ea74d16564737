//! Wake-up of a thread by other threads through a descriptor, so that the thread can wait for it
//! together with other descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

use rustix::event::{EventfdFlags, eventfd};

/// A descriptor that other threads make readable while it is armed; at any other time, a wake-up
/// costs no system call.
#[derive(Debug)]
pub struct WakeUp {
    is_armed: AtomicBool,
    eventfd: OwnedFd,
}

impl WakeUp {
    /// Creates a descriptor that is not armed.
    pub fn new() -> io::Result<Self> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { is_armed: AtomicBool::new(false), eventfd })
    }

    /// Arms the descriptor: the next wake-up makes it readable. The caller then checks once more
    /// for what it waits for, by reading memory that the other thread writes before `wake`: either
    /// it sees that write, or the other thread sees that the descriptor is armed.
    pub fn arm(&self) {
        self.is_armed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Disarms the descriptor: further wake-ups do nothing.
    pub fn disarm(&self) {
        self.is_armed.store(false, Ordering::Relaxed);
    }

    /// Makes the descriptor readable if it is armed, and disarms it; to be called after the change
    /// that the other thread waits for.
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.is_armed.load(Ordering::Relaxed) && self.is_armed.swap(false, Ordering::Relaxed) {
            let _ = rustix::io::write(&self.eventfd, &1u64.to_ne_bytes());
        }
    }

    /// Makes the descriptor unreadable again, if it is readable.
    pub fn clear(&self) {
        let _ = rustix::io::read(&self.eventfd, &mut [0; 8]);
    }
}

impl AsFd for WakeUp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_readable(wake_up: &WakeUp) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(wake_up, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn only_an_armed_descriptor_becomes_readable_and_only_once() {
        let wake_up = WakeUp::new().unwrap();
        wake_up.wake();
        assert!(!is_readable(&wake_up), "it is not armed yet");
        wake_up.arm();
        wake_up.wake();
        assert!(is_readable(&wake_up));
        wake_up.clear();
        wake_up.wake();
        assert!(!is_readable(&wake_up), "the first wake-up has disarmed it");
        wake_up.arm();
        wake_up.disarm();
        wake_up.wake();
        assert!(!is_readable(&wake_up));
    }
}
