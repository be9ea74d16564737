//! Graceful stop: one value that signals set and that any number of loops and threads can wait for,
//! and the policy for the connections that are open then.
//!
//! From the signal on, every response ends its connection. For a moment, a client without a request
//! in progress may still send one, because it was on its way; then idle connections end. When the
//! drain time is over, all connections end.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGALRM, SIGINT, SIGTERM};
use signal_hook::{SigId, low_level};

/// Time that requests in flight have after the signal before their connections are closed.
pub const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Time after the signal in which a client without a request in progress may still send one,
/// because it was on its way. Long compared with a trip through a network, short compared with the
/// patience of a user who waits for the end.
const LAST_CALL: Duration = Duration::from_millis(100);

/// Interval at which a stopping server checks if it is done.
pub const DRAIN_TICK: Duration = Duration::from_millis(20);

/// Time that a model has beyond the drain time to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Stop signal of a server; clones share it. Its descriptor is readable from the signal on and is
/// never drained, so it wakes every thread that waits for it.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    signalled: Arc<AtomicBool>,
    reader: UnixStream,
    writer: UnixStream,
    /// Signal handlers that write to `writer`.
    wakers: Vec<SigId>,
    /// Time at which the signal was first seen.
    seen: OnceLock<Instant>,
}

impl Shutdown {
    /// Creates a shutdown that only [`Self::signal`] sets.
    pub fn new() -> io::Result<Self> {
        Self::on(&[])
    }

    /// Creates a shutdown that SIGTERM and SIGINT set. It is meant for a process that is a server
    /// and nothing else: a second after the drain time the process ends with status 0, even if it
    /// is still working.
    pub fn on_signals() -> io::Result<Self> {
        Self::on(&[SIGTERM, SIGINT])
    }

    fn on(signals: &[i32]) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        writer.set_nonblocking(true)?;
        let signalled = Arc::default();
        let mut wakers = Vec::new();
        for &signal in signals {
            // The flag first: a woken thread must find it set.
            signal_hook::flag::register(signal, Arc::clone(&signalled))?;
            wakers.push(low_level::pipe::register(signal, writer.try_clone()?)?);
        }
        if !signals.is_empty() {
            end_by_force_after(DRAIN_TIME + GRACE, signals)?;
        }
        Ok(Self(Arc::new(Inner { signalled, reader, writer, wakers, seen: OnceLock::new() })))
    }

    /// Removes the signal handlers that write to the descriptor. A child process shares the
    /// descriptor with its parent, and signals to the child must not wake other processes.
    pub(crate) fn keep_to_itself(&self) {
        for &waker in &self.0.wakers {
            low_level::unregister(waker);
        }
    }

    /// Signals the shutdown.
    pub fn signal(&self) {
        self.0.signalled.store(true, Ordering::SeqCst);
        // If the pipe is full, it is readable already.
        let _ = (&self.0.writer).write(&[0]);
    }

    /// Signals the shutdown when the returned guard is dropped, even if the server fails: the
    /// threads that the server has started wait for the signal.
    pub(crate) fn signal_at_end(&self) -> SignalAtEnd<'_> {
        SignalAtEnd(self)
    }

    /// Returns true if the shutdown was signalled.
    pub fn is_signalled(&self) -> bool {
        self.0.signalled.load(Ordering::Relaxed)
    }

    /// Waits for the signal.
    pub fn wait(&self) -> io::Result<()> {
        while !self.is_signalled() {
            match poll(&mut [PollFd::new(self, PollFlags::IN)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Returns the time left in which clients may still send a request; `None` before the signal.
    pub fn last_call(&self) -> Option<Duration> {
        self.is_signalled().then(|| LAST_CALL.saturating_sub(self.time_since()))
    }

    /// Returns the time left for requests in flight; to be called only after the signal.
    pub fn drain_time_left(&self) -> Duration {
        DRAIN_TIME.saturating_sub(self.time_since())
    }

    /// Returns true once connections without a request in progress end; never before the signal.
    pub(crate) fn is_last_call_over(&self) -> bool {
        self.last_call().is_some_and(|left| left.is_zero())
    }

    /// Returns true while requests in flight may still finish; to be called only after the signal.
    pub(crate) fn has_drain_time(&self) -> bool {
        !self.drain_time_left().is_zero()
    }

    /// Lets a stopping server with many connections on this thread finish its requests in flight.
    /// Calls `turn`, which waits for [`DRAIN_TICK`] at most, until there are no connections or the
    /// drain time is over, and `close_idle` after every turn in which idle connections end.
    pub(crate) fn drain<S>(
        &self,
        server: &mut S,
        is_empty: impl Fn(&S) -> bool,
        mut turn: impl FnMut(&mut S) -> io::Result<()>,
        close_idle: impl Fn(&mut S),
    ) -> io::Result<()> {
        while !is_empty(server) && self.has_drain_time() {
            turn(server)?;
            if self.is_last_call_over() {
                close_idle(server);
            }
        }
        Ok(())
    }

    /// Returns the time since the signal was first seen.
    fn time_since(&self) -> Duration {
        self.0.seen.get_or_init(Instant::now).elapsed()
    }
}

/// Ends the process `time` after the first signal, even if its only thread is in a handler that
/// blocks. An alarm needs no other thread, which a model that forks must not have.
fn end_by_force_after(time: Duration, signals: &[i32]) -> io::Result<()> {
    let is_set = Arc::new(AtomicBool::new(false));
    // SAFETY: the handlers touch an atomic and make one call each, alarm(2) and _exit(2), which are
    // async-signal-safe.
    unsafe {
        low_level::register(SIGALRM, || low_level::exit(0))?;
        for &signal in signals {
            let is_set = Arc::clone(&is_set);
            low_level::register(signal, move || {
                if !is_set.swap(true, Ordering::Relaxed) {
                    nix::unistd::alarm::set(time.as_secs() as u32);
                }
            })?;
        }
    }
    Ok(())
}

/// Guard that [`Shutdown::signal_at_end`] returns.
pub(crate) struct SignalAtEnd<'a>(&'a Shutdown);

impl Drop for SignalAtEnd<'_> {
    fn drop(&mut self) {
        self.0.signal();
    }
}

impl AsFd for Shutdown {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}
