//! A process per connection: the parent accepts and forks, the child serves one connection and
//! exits.
//!
//! The oldest model and the best isolated one: nothing that a connection does can hurt another. It
//! pays with a fork and an exit for every connection, and with a process that the kernel has to
//! schedule for every open one.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags};

use crate::blocking::children::Children;
use crate::blocking::connection::READ_BYTES;
use crate::http::Service;
use crate::net::listener::refuse;
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let mut parent = Parent {
        children: Children::watch()?,
        service: options.service(site),
        buffer: Vec::with_capacity(READ_BYTES),
    };
    let mut listener = Some(listener);
    while let Some(accepting) = listener.as_ref().filter(|_| !shutdown.is_signalled()) {
        parent.children.reap_ended()?;
        if parent.children.count() >= options.max_connections.get() {
            parent.children.wait(&[PollFd::new(&shutdown, PollFlags::IN)], None)?;
            continue;
        }
        match accepting.accept_blocking() {
            Ok(stream) => parent.fork(&stream, &mut listener, &shutdown),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let fds =
                    [PollFd::new(accepting, PollFlags::IN), PollFd::new(&shutdown, PollFlags::IN)];
                parent.children.wait(&fds, None)?;
            }
            Err(error) => return Err(error),
        }
    }
    for stream in listener.take().iter().flat_map(Listener::close_blocking) {
        parent.fork(&stream, &mut listener, &shutdown);
    }
    parent.children.drain(&shutdown)
}

struct Parent {
    children: Children,
    /// Created before the fork, as is the buffer, so that no child has to do it.
    service: Service,
    buffer: Vec<u8>,
}

impl Parent {
    fn fork(&mut self, stream: &TcpStream, listener: &mut Option<Listener>, shutdown: &Shutdown) {
        let Self { children, service, buffer } = self;
        let forked = children.fork(shutdown, |child| {
            // Only the parent keeps the listening socket.
            drop(listener.take());
            child.serve(stream, service, buffer);
        });
        if forked.is_err() {
            refuse(stream);
        }
    }
}
