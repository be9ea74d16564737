//! Queue through which other threads pass items to an event loop and wake it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crossbeam::queue::SegQueue;

use crate::net::wake_up::WakeUp;

/// A queue with a descriptor that is readable while there may be something in it.
#[derive(Debug)]
pub struct Mailbox<T> {
    queue: SegQueue<T>,
    /// Armed unless the loop was woken and has not checked the queue yet, so that one system call
    /// wakes it for many items.
    wake_up: WakeUp,
}

impl<T> Mailbox<T> {
    pub fn new() -> io::Result<Self> {
        let wake_up = WakeUp::new()?;
        wake_up.arm();
        Ok(Self { queue: SegQueue::new(), wake_up })
    }

    /// Puts `item` into the queue and wakes the loop.
    pub fn put(&self, item: T) {
        self.queue.push(item);
        self.wake_up.wake();
    }

    /// Takes items until the queue is empty.
    pub fn take(&self) -> impl Iterator<Item = T> + '_ {
        self.wake_up.clear();
        // From here on, the next item wakes the loop again.
        self.wake_up.arm();
        std::iter::from_fn(|| self.queue.pop())
    }
}

impl<T> AsFd for Mailbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake_up.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn a_waiting_loop_gets_all_items_of_many_threads() {
        const EACH: usize = 10_000;
        let mailbox = Arc::new(Mailbox::new().unwrap());
        for _ in 0..2 {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || (0..EACH).for_each(|i| mailbox.put(i)));
        }
        let mut taken = 0;
        let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
        while taken < 2 * EACH {
            let ready = poll(&mut [PollFd::new(&*mailbox, PollFlags::IN)], Some(&limit)).unwrap();
            assert_eq!(ready, 1, "no wake-up came after {taken} items");
            taken += mailbox.take().count();
        }
    }
}
