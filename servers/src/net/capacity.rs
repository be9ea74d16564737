//! Lets the accepting thread of a server that has reached its connection limit wait until another
//! thread ends a connection.

use std::io;
use std::sync::Arc;
use std::task::Wake;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::Shutdown;
use crate::net::wake_up::WakeUp;

/// Capacity for further connections, which one thread waits for and other threads announce. It uses
/// a descriptor rather than a condition variable, because the wait also ends with the shutdown,
/// which is a descriptor too.
#[derive(Debug)]
pub struct Capacity {
    /// Armed while a thread waits, which is rare; otherwise the end of a connection costs no system
    /// call.
    wake_up: WakeUp,
}

impl Capacity {
    pub fn new() -> io::Result<Self> {
        Ok(Self { wake_up: WakeUp::new()? })
    }

    /// Waits until `has_capacity`, or until the shutdown.
    pub fn wait(&self, has_capacity: impl Fn() -> bool, shutdown: &Shutdown) -> io::Result<()> {
        while !has_capacity() && !shutdown.is_signalled() {
            self.wake_up.arm();
            if !has_capacity() {
                self.sleep(shutdown)?;
            }
            self.wake_up.disarm();
        }
        Ok(())
    }

    /// Wakes the waiting thread, if there is one; to be called after capacity was freed.
    pub fn freed(&self) {
        self.wake_up.wake();
    }

    fn sleep(&self, shutdown: &Shutdown) -> io::Result<()> {
        let mut fds =
            [PollFd::new(&self.wake_up, PollFlags::IN), PollFd::new(shutdown, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // If the shutdown came first, there is nothing to clear.
        self.wake_up.clear();
        Ok(())
    }
}

impl Wake for Capacity {
    fn wake(self: Arc<Self>) {
        self.freed();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    /// Creates the state that the threads share, with `open` connections.
    fn shared(open: usize) -> (Arc<(Capacity, AtomicUsize)>, Shutdown) {
        (Arc::new((Capacity::new().unwrap(), AtomicUsize::new(open))), Shutdown::new().unwrap())
    }

    #[test]
    fn every_end_of_a_connection_wakes_the_acceptor() {
        const CONNECTIONS: usize = 5_000;
        let (shared, shutdown) = shared(1);
        let ending = Arc::clone(&shared);
        let others = thread::spawn(move || {
            for _ in 0..CONNECTIONS {
                // Waits for the acceptor to open its next connection, which then ends while the
                // acceptor checks, or soon after.
                while ending.1.load(Ordering::Relaxed) == 0 {
                    thread::yield_now();
                }
                ending.1.fetch_sub(1, Ordering::Relaxed);
                ending.0.freed();
            }
        });
        let (capacity, open) = &*shared;
        for _ in 0..CONNECTIONS {
            capacity.wait(|| open.load(Ordering::Relaxed) < 1, &shutdown).unwrap();
            open.fetch_add(1, Ordering::Relaxed);
        }
        others.join().unwrap();
    }

    #[test]
    fn a_shutdown_ends_the_wait() {
        let (shared, shutdown) = shared(1);
        let signal = shutdown.clone();
        let stopper = thread::spawn(move || signal.signal());
        shared.0.wait(|| false, &shutdown).unwrap();
        stopper.join().unwrap();
    }
}
