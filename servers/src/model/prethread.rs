//! A fixed set of threads, started before the first connection comes; all of them accept from the
//! same socket, and each serves one connection at a time.
//!
//! There is no acceptor and no queue: the kernel distributes connections, and of the threads that
//! wait in `accept`, one is woken. A thread is occupied for as long as its connection lives, idle
//! or not.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use crossbeam::channel::unbounded;

use crate::blocking::open_connections::OpenConnections;
use crate::blocking::pool;
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    listener.set_blocking(true)?;
    let _end = shutdown.signal_at_end();
    let listener = Arc::new(listener);
    let open = OpenConnections::until(&shutdown)?;
    // Queue for connections that are still in the backlog when the listener is closed; it is empty
    // and open until then.
    let (leave, left) = unbounded();
    let next = {
        let (listener, open, shutdown) =
            (Arc::clone(&listener), Arc::clone(&open), shutdown.clone());
        move || {
            let accepted = accept(&listener, &shutdown);
            accepted.map(|stream| open.register(stream)).or_else(|| left.recv().ok())
        }
    };
    let pool = pool::start(options, &site, &shutdown, next).inspect_err(|_| {
        // The threads that have started wait in `accept`.
        shutdown.signal();
        drop(listener.close());
    })?;
    shutdown.wait()?;
    for stream in listener.close_blocking() {
        let _ = leave.send(open.register(stream));
    }
    drop(leave);
    pool.await_end(&shutdown);
    Ok(())
}

/// Waits for a connection; `None` once the server stops.
fn accept(listener: &Listener, shutdown: &Shutdown) -> Option<TcpStream> {
    while !shutdown.is_signalled() {
        // The error is a temporary one, or means that the listener has ended, which comes after the
        // signal.
        if let Ok(stream) = listener.accept_blocking() {
            return Some(stream);
        }
    }
    None
}
