//! One thread that serves one connection at a time, from its first byte to its last; all other
//! clients wait.
//!
//! This is the baseline: no model is simpler, and none does less per connection. A single client
//! that sends nothing keeps all others waiting until it is timed out.

use std::io;
use std::sync::Arc;

use crate::blocking::connection::{READ_BYTES, serve_connection};
use crate::blocking::open_connections::{OpenConnections, Registered};
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let mut service = options.service(site);
    let mut buffer = Vec::with_capacity(READ_BYTES);
    let _end = shutdown.signal_at_end();
    // Starts a thread that waits for the shutdown, while this one waits for a client.
    let open = OpenConnections::until(&shutdown)?;
    while let Some(stream) = listener.wait_accept(&shutdown)? {
        let stream = open.register(stream);
        let _ = serve_connection(&*stream, &mut service, &mut buffer, &shutdown);
    }
    let left: Vec<Registered> =
        listener.close_blocking().map(|stream| open.register(stream)).collect();
    for stream in left {
        let _ = serve_connection(&*stream, &mut service, &mut buffer, &shutdown);
    }
    Ok(())
}
