//! The connections that blocking threads are serving, so that a shutdown can reach a thread that waits in a read, and an
//! acceptor can wait for room.

use std::io;
use std::net::{self, TcpStream};
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use slab::Slab;

use crate::blocking::STACK_BYTES;
use crate::listener::refuse;
use crate::memory;
use crate::shutdown::Shutdown;
use crate::threads::refused;

/// All open connections of a server, those included that still wait for a thread.
#[derive(Debug, Default)]
pub struct OpenConnections {
    state: Mutex<State>,
    /// Notified at the end of a connection, and at a shutdown, if anybody waits for that.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    streams: Slab<Arc<TcpStream>>,
    ending: bool,
    waiting: usize,
}

/// One of them, for as long as it is served.
#[derive(Debug)]
pub struct Registered {
    stream: Arc<TcpStream>,
    key: usize,
    open: Arc<OpenConnections>,
}

impl OpenConnections {
    /// Adds one; it is taken out again when the result is dropped. Without memory for it, its client is told.
    pub fn register(self: &Arc<Self>, stream: TcpStream) -> Option<Registered> {
        let mut state = self.state();
        if !memory::reserve_slot(&mut state.streams) {
            refuse(&stream);
            return None;
        }
        let stream = Arc::new(stream);
        if state.ending {
            let _ = stream.shutdown(net::Shutdown::Read);
        }
        let key = state.streams.insert(Arc::clone(&stream));
        Some(Registered { stream, key, open: Arc::clone(self) })
    }

    /// Waits until there are fewer than so many; `false` when the shutdown came first.
    pub fn wait_for_room(&self, max_connections: usize, shutdown: &Shutdown) -> bool {
        let mut state = self.state();
        while state.streams.len() >= max_connections && !shutdown.is_signalled() {
            state = self.wait(state, Duration::MAX);
        }
        !shutdown.is_signalled()
    }

    /// None yet; a thread waits for the shutdown, to reach those who wait for their clients then.
    pub fn until(shutdown: &Shutdown) -> io::Result<Arc<Self>> {
        let open = Arc::new(Self::default());
        let (drained, shutdown) = (Arc::clone(&open), shutdown.clone());
        let watch = move || {
            if shutdown.wait().is_ok() {
                drained.drain(&shutdown);
                // Some may come yet: those that had arrived in the listener's queue.
                thread::sleep(shutdown.drain_time_left());
                drained.cut();
            }
        };
        let started = thread::Builder::new().stack_size(STACK_BYTES).spawn(watch);
        started.map_err(|error| refused("the thread that waits for the end", &error))?;
        Ok(open)
    }

    /// Lets every connection read what it has received, and then its end; breaks off those that take too long.
    pub fn drain(&self, shutdown: &Shutdown) {
        let mut state = self.state();
        state.ending = true;
        self.notify(&state);
        for (_, stream) in &state.streams {
            let _ = stream.shutdown(net::Shutdown::Read);
        }
        while !state.streams.is_empty() && !shutdown.drain_time_left().is_zero() {
            state = self.wait(state, shutdown.drain_time_left());
        }
        drop(state);
        self.cut();
    }

    /// Breaks off all that are left.
    fn cut(&self) {
        for (_, stream) in &self.state().streams {
            let _ = stream.shutdown(net::Shutdown::Both);
        }
    }

    /// Waits for the end of a connection, or for a shutdown.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        state.waiting += 1;
        let (mut state, _) =
            self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    /// A notification is a system call, and hardly ever is there anybody to hear it.
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
    /// The socket, for whoever has something to say on it when this is gone.
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
