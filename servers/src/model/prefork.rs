//! A fixed set of processes, started before the first connection comes; all of them accept from the
//! same socket, and each serves one connection at a time.
//!
//! The cost that `fork` pays per connection is paid only once. The kernel distributes connections:
//! of the processes that wait in `accept`, one is woken. A worker is occupied for as long as its
//! connection lives, idle or not.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use crate::blocking::children::{Child, Children};
use crate::blocking::connection::READ_BYTES;
use crate::http::Service;
use crate::net::listener::refuse;
use crate::{Listener, Options, Shutdown, Site};

/// Pause between two rounds of replacing workers that have died. Workers that die at once, or can't
/// be started, then don't keep a processor busy.
const REFILL_PAUSE: Duration = Duration::from_millis(100);

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    listener.set_blocking(true)?;
    let mut children = Children::watch()?;
    let mut service = options.service(site);
    let mut buffer = Vec::with_capacity(READ_BYTES);
    let workers = options.blocking_workers();
    let mut start = |children: &mut Children| {
        while children.count() < workers {
            children.fork(&shutdown, |child| work(&child, &listener, &mut service, &mut buffer))?;
        }
        io::Result::Ok(())
    };
    if let (Err(error), 0) = (start(&mut children), children.count()) {
        return Err(io::Error::new(error.kind(), format!("cannot start a single worker: {error}")));
    }
    let mut refill_at = Instant::now() + REFILL_PAUSE;
    while !shutdown.is_signalled() {
        children.reap_ended()?;
        let pause = (children.count() < workers)
            .then(|| refill_at.saturating_duration_since(Instant::now()));
        if pause.is_some_and(|left| left.is_zero()) {
            // Workers that can't be started now are tried again later.
            let _ = start(&mut children);
            refill_at = Instant::now() + REFILL_PAUSE;
        } else {
            children.wait(&[PollFd::new(&shutdown, PollFlags::IN)], pause)?;
        }
    }
    // From here on, a worker leaves `accept` when it gets its signal, and does not wait there
    // again.
    let left: Vec<TcpStream> = listener.close_blocking().collect();
    children.stop();
    for stream in left {
        if children
            .fork(&shutdown, |child| child.serve(&stream, &mut service, &mut buffer))
            .is_err()
        {
            refuse(&stream);
        }
    }
    children.drain(&shutdown)
}

/// Serves connections in a worker until it is told to stop.
fn work(child: &Child, listener: &Listener, service: &mut Service, buffer: &mut Vec<u8>) {
    while !child.is_stopped() {
        // An error means that the listener has ended, or that the signal has ended the wait.
        if let Ok(stream) = listener.accept_blocking() {
            child.serve(&stream, service, buffer);
        }
    }
}
