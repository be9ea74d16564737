//! One thread that gives the kernel a list of all its sockets with every wait: poll(2).
//!
//! One call is enough for any number of sockets, and none of them needs a thread. But the list is
//! passed to the kernel with every wait, the kernel checks each entry, and the loop searches the
//! list again for the ready ones: a wait costs time for all connections, idle or not.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::readiness::connection::Interest;
use crate::readiness::event_loop::{EventLoop, Poller, Ready, Timeout};
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let poller = List::default();
    let service = options.service(site);
    EventLoop::new(poller, service, options.max_connections.get()).serve(&listener, &shutdown)
}

/// List of the sockets, kept from wait to wait.
#[derive(Default)]
struct List {
    sockets: Vec<PollFd<'static>>,
    /// The key of each socket, in the same order.
    keys: Vec<usize>,
    /// Index of each key in both lists.
    places: Vec<usize>,
}

impl List {
    fn push(&mut self, fd: BorrowedFd<'_>, key: usize, flags: PollFlags) {
        if self.places.len() <= key {
            self.places.resize(key + 1, usize::MAX);
        }
        self.places[key] = self.sockets.len();
        self.keys.push(key);
        // SAFETY: a descriptor is removed before it is closed, as the trait says.
        let fd = unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) };
        self.sockets.push(PollFd::from_borrowed_fd(fd, flags));
    }

    /// Removes a socket; the last one takes its place.
    fn swap_remove(&mut self, key: usize) {
        let place = self.places[key];
        self.sockets.swap_remove(place);
        self.keys.swap_remove(place);
        if let Some(&moved) = self.keys.get(place) {
            self.places[moved] = place;
        }
    }
}

impl Poller for List {
    fn watch(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        self.add(fd, key)
    }

    fn unwatch(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        self.remove(fd, key)
    }

    fn add(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        self.push(fd, key, PollFlags::IN);
        Ok(())
    }

    fn change(&mut self, fd: BorrowedFd<'_>, key: usize, interest: Interest) -> io::Result<()> {
        self.swap_remove(key);
        let flags = match interest {
            Interest::Readable => PollFlags::IN,
            Interest::Writable => PollFlags::OUT,
            Interest::Nothing => PollFlags::empty(),
        };
        self.push(fd, key, flags);
        Ok(())
    }

    fn remove(&mut self, _fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        self.swap_remove(key);
        Ok(())
    }

    fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Timeout) -> io::Result<()> {
        let timeout = timeout.left().and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut left = match poll(&mut self.sockets, timeout.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for (socket, &key) in self.sockets.iter().zip(&self.keys) {
            if left == 0 {
                break;
            }
            if !socket.revents().is_empty() {
                ready.push(Ready { key, ends: false });
                left -= 1;
            }
        }
        Ok(())
    }
}
