//! One thread, one connection at a time, from its first octet to its last; everybody else waits.
//!
//! The baseline: no model is simpler, none does less per connection, and a single client that says nothing keeps all others
//! out until it is timed out.

use std::io;
use std::sync::Arc;

use crate::blocking::{READ_BYTES, serve_connection};
use crate::open_connections::{OpenConnections, Registered};
use crate::{ConcurrencyModel, Listener, Options, Shutdown, Site};

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    Box::new(Iterative { options })
}

struct Iterative {
    options: Options,
}

impl ConcurrencyModel for Iterative {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let (mut service, mut buffer) = (self.options.service(site), Vec::with_capacity(READ_BYTES));
        let _end = shutdown.signal_at_end();
        // A thread that looks out for the end, while this one waits for a client.
        let open = OpenConnections::until(&shutdown)?;
        while let Some(stream) = listener.wait_accept(&shutdown)? {
            if let Some(stream) = open.register(stream) {
                let _ = serve_connection(&*stream, &mut service, &mut buffer, &shutdown);
            }
        }
        let left: Vec<Registered> =
            listener.close_blocking().filter_map(|stream| open.register(stream)).collect();
        for stream in left {
            let _ = serve_connection(&*stream, &mut service, &mut buffer, &shutdown);
        }
        Ok(())
    }
}
