//! The connections that blocking threads are serving, so that a shutdown can reach a thread that waits in a read.

use std::net::{Shutdown, TcpStream};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;

/// All open connections of a server.
#[derive(Debug, Default)]
pub struct OpenConnections(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    streams: Slab<Arc<TcpStream>>,
    ending: bool,
}

/// One of them, for as long as it is served.
#[derive(Debug)]
pub struct Registered<'a> {
    stream: Arc<TcpStream>,
    key: usize,
    open: &'a OpenConnections,
}

impl OpenConnections {
    /// Adds one; it is taken out again when the result is dropped.
    pub fn register(&self, stream: TcpStream) -> Registered<'_> {
        let stream = Arc::new(stream);
        let mut state = self.state();
        if state.ending {
            let _ = stream.shutdown(Shutdown::Read);
        }
        let key = state.streams.insert(Arc::clone(&stream));
        Registered { stream, key, open: self }
    }

    /// Lets every connection read what it has received, and then its end.
    pub fn end_input(&self) {
        let mut state = self.state();
        state.ending = true;
        for (_, stream) in &state.streams {
            let _ = stream.shutdown(Shutdown::Read);
        }
    }

    /// Breaks every connection off.
    pub fn cut(&self) {
        for (_, stream) in &self.state().streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Registered<'_> {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.open.state().streams.remove(self.key);
    }
}
