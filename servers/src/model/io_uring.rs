//! One thread with an `io_uring`: the kernel does the I/O itself and reports the results.
//!
//! The loop makes no request twice. One request makes the kernel accept for as long as there is
//! capacity, one per connection makes it receive into any free buffer, and a response is an entry
//! in a queue. One system call gives the kernel all responses of a turn and waits for the
//! completions of the next turn.

use std::io;
use std::sync::Arc;

use crate::completion::{event_loop, ring};
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let service = options.service(site);
    let max_connections = options.max_connections.get();
    event_loop::serve(ring::open()?, &listener, service, max_connections, &shutdown)
}
