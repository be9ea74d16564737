//! Graceful stop: one value that signals set and that any number of loops and threads can wait for.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGALRM, SIGINT, SIGTERM};
use signal_hook::{SigId, low_level};

/// How long requests in flight may take after the signal before their connections are cut.
pub const DRAIN_TIME: Duration = Duration::from_secs(5);

/// What a model gets on top of that to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Whether the server is to stop. Clones are the same shutdown. Its descriptor is readable from the signal on and is
/// never drained, so it wakes everybody who waits for it.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    signalled: Arc<AtomicBool>,
    reader: UnixStream,
    writer: UnixStream,
    handlers: Vec<SigId>,
}

impl Shutdown {
    /// A shutdown that only [`Self::signal`] sets.
    pub fn new() -> io::Result<Self> {
        Self::on(&[])
    }

    /// A shutdown that SIGTERM and SIGINT set.
    pub fn on_signals() -> io::Result<Self> {
        Self::on(&[SIGTERM, SIGINT])
    }

    fn on(signals: &[i32]) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        writer.set_nonblocking(true)?;
        let signalled = Arc::default();
        let mut handlers = Vec::new();
        for &signal in signals {
            // The flag first: whoever is woken must find it set.
            handlers.push(signal_hook::flag::register(signal, Arc::clone(&signalled))?);
            handlers.push(signal_hook::low_level::pipe::register(signal, writer.try_clone()?)?);
        }
        if !signals.is_empty() {
            handlers.extend(end_by_force_after(DRAIN_TIME + GRACE, signals)?);
        }
        Ok(Self(Arc::new(Inner { signalled, reader, writer, handlers })))
    }

    /// For a child process: its signals no longer set this shutdown, whose descriptor it shares with its parent.
    pub(crate) fn detach_signals(&self) {
        for &handler in &self.0.handlers {
            signal_hook::low_level::unregister(handler);
        }
    }

    /// Sets it.
    pub fn signal(&self) {
        self.0.signalled.store(true, Ordering::SeqCst);
        // A full pipe is as readable as one with another octet.
        let _ = (&self.0.writer).write(&[0]);
    }

    /// Whether it was set.
    pub fn is_signalled(&self) -> bool {
        self.0.signalled.load(Ordering::Relaxed)
    }
}

/// Ends the process so long after a signal even if its only thread is in a handler that blocks: an alarm needs no thread,
/// which a model that forks must not have.
fn end_by_force_after(time: Duration, signals: &[i32]) -> io::Result<Vec<SigId>> {
    // SAFETY: the handlers make one call each, alarm(2) and _exit(2), which are async-signal-safe, and touch nothing else.
    unsafe {
        let mut handlers = vec![low_level::register(SIGALRM, || low_level::exit(0))?];
        for &signal in signals {
            handlers.push(low_level::register(signal, move || {
                nix::unistd::alarm::set(time.as_secs() as u32);
            })?);
        }
        Ok(handlers)
    }
}

impl AsFd for Shutdown {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}
