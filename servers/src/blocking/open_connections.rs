//! Registry of the connections of blocking threads, so that a shutdown can interrupt a thread that
//! waits in a read, and an acceptor can wait for capacity.

use std::io;
use std::net::{self, TcpStream};
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use slab::Slab;

use crate::blocking::connection::STACK_BYTES;
use crate::net::shutdown::Shutdown;
use crate::thread_limit::start_error;

/// All open connections of a server, including those that still wait for a thread.
#[derive(Debug, Default)]
pub struct OpenConnections {
    state: Mutex<State>,
    /// Notified when a connection ends and at a shutdown, if a thread waits for that.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    streams: Slab<Arc<TcpStream>>,
    ending: bool,
    waiting: usize,
}

/// Registered connection; dropping it removes it from the registry.
#[derive(Debug)]
pub struct Registered {
    stream: Arc<TcpStream>,
    key: usize,
    open: Arc<OpenConnections>,
}

impl OpenConnections {
    /// Registers a connection until the returned value is dropped.
    pub fn register(self: &Arc<Self>, stream: TcpStream) -> Registered {
        let mut state = self.state();
        let stream = Arc::new(stream);
        if state.ending {
            let _ = stream.shutdown(net::Shutdown::Read);
        }
        let key = state.streams.insert(Arc::clone(&stream));
        Registered { stream, key, open: Arc::clone(self) }
    }

    /// Waits until fewer than `max_connections` are open; returns false if the shutdown came first.
    pub fn wait_for_capacity(&self, max_connections: usize, shutdown: &Shutdown) -> bool {
        let mut state = self.state();
        while state.streams.len() >= max_connections && !shutdown.is_signalled() {
            state = self.wait(state, Duration::MAX);
        }
        !shutdown.is_signalled()
    }

    /// Creates an empty registry and starts a thread that waits for the shutdown, and then
    /// interrupts the threads that wait for their clients.
    pub fn until(shutdown: &Shutdown) -> io::Result<Arc<Self>> {
        let open = Arc::new(Self::default());
        let drained = Arc::clone(&open);
        let shutdown = shutdown.clone();
        let watch = move || {
            if shutdown.wait().is_ok() {
                drained.drain(&shutdown);
                // More connections may still be registered: those that were in the listener's
                // queue.
                thread::sleep(shutdown.drain_time_left());
                drained.cut();
            }
        };
        let started = thread::Builder::new().stack_size(STACK_BYTES).spawn(watch);
        started.map_err(|error| start_error("the thread that waits for the end", &error))?;
        Ok(open)
    }

    /// Lets every connection read the data that has arrived, and then the end; shuts down those
    /// that take too long.
    pub fn drain(&self, shutdown: &Shutdown) {
        let mut state = self.state();
        state.ending = true;
        self.notify(&state);
        for (_, stream) in &state.streams {
            let _ = stream.shutdown(net::Shutdown::Read);
        }
        while !state.streams.is_empty() && shutdown.has_drain_time() {
            state = self.wait(state, shutdown.drain_time_left());
        }
        drop(state);
        self.cut();
    }

    /// Shuts down all remaining connections.
    fn cut(&self) {
        for (_, stream) in &self.state().streams {
            let _ = stream.shutdown(net::Shutdown::Both);
        }
    }

    /// Waits for the end of a connection, or for a shutdown.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        at_most: Duration,
    ) -> MutexGuard<'a, State> {
        state.waiting += 1;
        let (mut state, _) =
            self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    /// Notifies the waiting threads, if there are any: a notification is a system call, and mostly
    /// no thread waits.
    fn notify(&self, state: &State) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    /// Returns the socket, for a caller that still writes to it after this value is dropped.
    pub fn stream(&self) -> Arc<TcpStream> {
        Arc::clone(&self.stream)
    }
}

impl Deref for Registered {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut state = self.open.state();
        state.streams.remove(self.key);
        self.open.notify(&state);
    }
}
