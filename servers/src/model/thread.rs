//! A thread per connection: one thread accepts and starts a thread for each connection, which ends
//! with it.
//!
//! Handlers are simple, and the kernel schedules them. The cost is the start and end of a thread
//! for every connection, and a stack for every open one.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use crate::blocking::connection::{READ_BYTES, STACK_BYTES, serve_connection};
use crate::blocking::open_connections::OpenConnections;
use crate::net::listener::refuse;
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let _end = shutdown.signal_at_end();
    let open = OpenConnections::until(&shutdown)?;
    while open.wait_for_capacity(options.max_connections.get(), &shutdown) {
        if let Some(stream) = listener.wait_accept(&shutdown)? {
            start(options, stream, &open, &site, &shutdown);
        }
    }
    for stream in listener.close_blocking() {
        start(options, stream, &open, &site, &shutdown);
    }
    open.drain(&shutdown);
    Ok(())
}

/// Serves `stream` on a thread of its own; refuses it if the thread can't be started.
fn start(
    options: Options,
    stream: TcpStream,
    open: &Arc<OpenConnections>,
    site: &Arc<Site>,
    shutdown: &Shutdown,
) {
    let registered = open.register(stream);
    let stream = registered.stream();
    let site = Arc::clone(site);
    let shutdown = shutdown.clone();
    let started = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        let mut buffer = Vec::new();
        if buffer.try_reserve_exact(READ_BYTES).is_err() {
            return refuse(&registered);
        }
        let mut service = options.service(site);
        // An error ends only this connection.
        let _ = serve_connection(&*registered, &mut service, &mut buffer, &shutdown);
    });
    if started.is_err() {
        refuse(&stream);
    }
}
