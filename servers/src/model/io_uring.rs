//! One thread with an `io_uring`: the kernel does what is to be done, and says what came of it.
//!
//! The loop asks for nothing twice. One request has the kernel accept for as long as there is room, one for each connection
//! has it receive into whichever buffer is free, and an answer is an entry in a queue. One system call gives the kernel all
//! answers of a turn and waits for what the next one is about.

use std::io;
use std::sync::Arc;

use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site, uring};

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    Box::new(IoUring { options })
}

struct IoUring {
    options: Options,
}

impl ConcurrencyModel for IoUring {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let (service, max_connections) = (self.options.service(site), self.options.max_connections.get());
        uring::serve(uring::open()?, &listener, service, max_connections, &shutdown)
    }
}
