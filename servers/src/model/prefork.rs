//! A fixed set of processes, made before the first connection comes; all of them accept from the same socket, and each
//! serves one connection at a time.
//!
//! What `fork` pays per connection is paid once. The kernel deals connections out: of the processes that wait in `accept`,
//! one is woken. A worker is taken for as long as its connection lives, idle or not.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use crate::blocking::READ_BYTES;
use crate::children::{Child, Children};
use crate::http::Service;
use crate::listener::refuse;
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site};

/// Between two tries to replace workers that have died. Long enough that workers which die at once don't keep a processor
/// busy.
const REFILL_PAUSE: Duration = Duration::from_millis(100);

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    Box::new(Prefork { options })
}

struct Prefork {
    options: Options,
}

impl ConcurrencyModel for Prefork {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        listener.set_blocking(true)?;
        let mut children = Children::watch()?;
        let (mut service, mut buffer) = (self.options.service(site), vec![0; READ_BYTES]);
        let workers = self.options.blocking_workers();
        while !shutdown.is_signalled() {
            children.reap_ended()?;
            while children.count() < workers {
                let forked =
                    children.fork(&shutdown, |child| work(&child, &listener, &mut service, &mut buffer));
                if let Err(error) = forked {
                    if children.count() == 0 {
                        return Err(io::Error::new(
                            error.kind(),
                            format!("cannot start a single worker: {error}"),
                        ));
                    }
                    break;
                }
            }
            let pause = (children.count() < workers).then_some(REFILL_PAUSE);
            children.wait(&[PollFd::new(&shutdown, PollFlags::IN)], pause)?;
        }
        // From now on no worker waits in `accept`, once its signal has got it out of there.
        for stream in listener.close_blocking() {
            if children.fork(&shutdown, |child| child.serve(&stream, &mut service, &mut buffer)).is_err() {
                refuse(&stream);
            }
        }
        children.drain(&shutdown)
    }
}

/// What a worker does until it is told to stop.
fn work(child: &Child, listener: &Listener, service: &mut Service, buffer: &mut [u8]) {
    while !child.is_stopped() {
        // An error is the end of the listener, or of the wait by the signal.
        if let Ok(stream) = listener.accept_blocking() {
            child.serve(&stream, service, buffer);
        }
    }
}
