//! One thread that gives the kernel a set of all its sockets with every wait: select(2).
//!
//! This is the oldest call of its kind. A set has a bit per descriptor, and there are 1024:
//! connections beyond that wait in the listen backlog. The kernel overwrites the sets with the
//! ready descriptors, so that they are copied before every wait and searched after it, up to the
//! highest descriptor.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::select::{FD_SETSIZE, FdSet, select};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::readiness::connection::Interest;
use crate::readiness::event_loop::{EventLoop, Poller, Ready, Timeout};
use crate::{Listener, Options, Shutdown, Site};

/// Descriptors that are not connections: standard streams, the listener and its spare one, the
/// shutdown.
const OTHER_DESCRIPTORS: usize = 24;

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let poller = Sets::new();
    let service = options.service(site);
    let max_connections = options.max_connections.get().min(FD_SETSIZE - OTHER_DESCRIPTORS);
    EventLoop::new(poller, service, max_connections).serve(&listener, &shutdown)
}

/// Sets of sockets, kept from wait to wait.
struct Sets {
    readable: FdSet<'static>,
    writable: FdSet<'static>,
    /// Socket and key of each descriptor.
    sockets: Vec<Option<(BorrowedFd<'static>, usize)>>,
}

impl Sets {
    fn new() -> Self {
        Self { readable: FdSet::new(), writable: FdSet::new(), sockets: Vec::new() }
    }
}

impl Poller for Sets {
    fn watch(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        self.add(fd, key)
    }

    fn unwatch(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        self.remove(fd, key)
    }

    fn add(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        let number = fd.as_raw_fd() as usize;
        if number >= FD_SETSIZE {
            return Err(io::Error::other("select(2) takes no descriptor of that number"));
        }
        // SAFETY: a descriptor is removed before it is closed, as the trait says.
        let fd = unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) };
        if self.sockets.len() <= number {
            self.sockets.resize(number + 1, None);
        }
        self.sockets[number] = Some((fd, key));
        self.readable.insert(fd);
        Ok(())
    }

    fn change(&mut self, fd: BorrowedFd<'_>, key: usize, interest: Interest) -> io::Result<()> {
        self.remove(fd, key)?;
        self.add(fd, key)?;
        if let Some((fd, _)) =
            self.sockets[fd.as_raw_fd() as usize].filter(|_| interest != Interest::Readable)
        {
            self.readable.remove(fd);
            if interest == Interest::Writable {
                self.writable.insert(fd);
            }
        }
        Ok(())
    }

    fn remove(&mut self, fd: BorrowedFd<'_>, _key: usize) -> io::Result<()> {
        if let Some((fd, _)) = self.sockets[fd.as_raw_fd() as usize].take() {
            self.readable.remove(fd);
            self.writable.remove(fd);
        }
        // A wait searches the sets up to the highest descriptor.
        while self.sockets.last().is_some_and(Option::is_none) {
            self.sockets.pop();
        }
        Ok(())
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Timeout) -> io::Result<()> {
        let (mut readable, mut writable) = (self.readable, self.writable);
        let mut timeout = timeout.left().map(timeval);
        // At most FD_SETSIZE. Without it, each set would be searched for the highest descriptor.
        let beyond = self.sockets.len().try_into().ok();
        let mut left = match select(beyond, &mut readable, &mut writable, None, &mut timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for (fd, key) in self.sockets.iter().flatten() {
            if left == 0 {
                break;
            }
            if readable.contains(*fd) || writable.contains(*fd) {
                ready.push(Ready { key: *key, ends: false });
                left -= 1;
            }
        }
        Ok(())
    }
}

fn timeval(time: Duration) -> TimeVal {
    TimeVal::microseconds(time.as_micros().try_into().unwrap_or(i64::MAX))
}
