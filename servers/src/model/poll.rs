//! One thread that gives the kernel a list of all its sockets with every wait: poll(2).
//!
//! One call for any number of sockets, and none of them needs a thread. But the list crosses into the kernel with every
//! wait, which looks at each entry, and the loop looks through it again for those that are ready: a wait costs what all
//! connections cost, idle or not.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::event_loop::{EventLoop, Poller, Ready, Timeout};
use crate::memory;
use crate::peer::Interest;
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site};

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    Box::new(Poll { options })
}

struct Poll {
    options: Options,
}

impl ConcurrencyModel for Poll {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let (poller, service) = (List::default(), self.options.service(site));
        EventLoop::new(poller, service, self.options.max_connections.get()).serve(&listener, &shutdown)
    }
}

/// The list, kept from wait to wait.
#[derive(Default)]
struct List {
    sockets: Vec<PollFd<'static>>,
    /// The key of each socket, in the same order.
    keys: Vec<usize>,
    /// The place of each key in both.
    places: Vec<usize>,
}

impl List {
    fn push(&mut self, fd: BorrowedFd<'_>, key: usize, flags: PollFlags) {
        if self.places.len() <= key {
            self.places.resize(key + 1, usize::MAX);
        }
        self.places[key] = self.sockets.len();
        self.keys.push(key);
        // SAFETY: what is added is removed before it is closed, as the trait says.
        let fd = unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) };
        self.sockets.push(PollFd::from_borrowed_fd(fd, flags));
    }

    /// The last one takes the place of what goes.
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
        self.push(fd, key, PollFlags::IN);
        Ok(())
    }

    fn unwatch(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        self.remove(fd, key)
    }

    fn add(&mut self, fd: BorrowedFd<'_>, key: usize) -> io::Result<()> {
        // Two, so that the listener always has a place to come back to.
        let in_places = (key + 1).saturating_sub(self.places.len());
        let has_room = memory::reserve(&mut self.places, in_places)
            && memory::reserve(&mut self.keys, 2)
            && memory::reserve(&mut self.sockets, 2);
        if !has_room {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
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
            // What there is no memory for is told of with the next wait again.
            if left == 0 || !memory::reserve(ready, 1) {
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
