//! Graceful stop: one value that signals set and that any number of loops and threads can wait for.

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

/// How long requests in flight may take after the signal before their connections are cut.
pub const DRAIN_TIME: Duration = Duration::from_secs(5);

/// How long after the signal a client without a request under way may still come with one: it was on its way. Long against
/// a way through a network, short against the patience of whoever waits for the end.
const LAST_CALL: Duration = Duration::from_millis(100);

/// How often a server that stops looks whether it is done.
pub const DRAIN_TICK: Duration = Duration::from_millis(20);

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
    /// Those that write to it.
    wakers: Vec<SigId>,
    /// When it was first seen to be set.
    seen: OnceLock<Instant>,
}

impl Shutdown {
    /// A shutdown that only [`Self::signal`] sets.
    pub fn new() -> io::Result<Self> {
        Self::on(&[])
    }

    /// A shutdown that SIGTERM and SIGINT set. It is meant for a process that is a server and nothing else: a second after
    /// the drain time the process ends with status 0, whatever it is doing.
    pub fn on_signals() -> io::Result<Self> {
        Self::on(&[SIGTERM, SIGINT])
    }

    fn on(signals: &[i32]) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        writer.set_nonblocking(true)?;
        let signalled = Arc::default();
        let mut wakers = Vec::new();
        for &signal in signals {
            // The flag first: whoever is woken must find it set.
            signal_hook::flag::register(signal, Arc::clone(&signalled))?;
            wakers.push(low_level::pipe::register(signal, writer.try_clone()?)?);
        }
        if !signals.is_empty() {
            end_by_force_after(DRAIN_TIME + GRACE, signals)?;
        }
        Ok(Self(Arc::new(Inner { signalled, reader, writer, wakers, seen: OnceLock::new() })))
    }

    /// For a child process, which shares the descriptor with its parent: its own signals no longer wake others.
    pub(crate) fn keep_to_itself(&self) {
        for &waker in &self.0.wakers {
            low_level::unregister(waker);
        }
    }

    /// Sets it.
    pub fn signal(&self) {
        self.0.signalled.store(true, Ordering::SeqCst);
        // A full pipe is as readable as one with another octet.
        let _ = (&self.0.writer).write(&[0]);
    }

    /// Sets it when the result is dropped: what threads wait for that a server has started, also if it fails.
    pub(crate) fn signal_at_end(&self) -> SignalAtEnd<'_> {
        SignalAtEnd(self)
    }

    /// Whether it was set.
    pub fn is_signalled(&self) -> bool {
        self.0.signalled.load(Ordering::Relaxed)
    }

    /// Waits for it.
    pub fn wait(&self) -> io::Result<()> {
        while !self.is_signalled() {
            match poll(&mut [PollFd::new(self, PollFlags::IN)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What is left of the time in which clients may still come with a request; `None` while there is no stop.
    pub fn last_call(&self) -> Option<Duration> {
        self.is_signalled().then(|| LAST_CALL.saturating_sub(self.time_since()))
    }

    /// What is left of the time for requests in flight, of a shutdown that was set.
    pub fn drain_time_left(&self) -> Duration {
        DRAIN_TIME.saturating_sub(self.time_since())
    }

    /// For how long it is known to be set.
    fn time_since(&self) -> Duration {
        self.0.seen.get_or_init(Instant::now).elapsed()
    }
}

/// Ends the process so long after the first signal even if its only thread is in a handler that blocks: an alarm needs no
/// thread, which a model that forks must not have.
fn end_by_force_after(time: Duration, signals: &[i32]) -> io::Result<()> {
    let is_set = Arc::new(AtomicBool::new(false));
    // SAFETY: the handlers touch an atomic and make one call each, alarm(2) and _exit(2), which are async-signal-safe.
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

/// See [`Shutdown::signal_at_end`].
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
