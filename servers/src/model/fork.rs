//! A process per connection: the parent accepts and forks, the child serves one connection and exits.
//!
//! The oldest model and the best isolated one: nothing that a connection does can hurt another. It pays with a fork and
//! an exit for every connection, and with a process that the kernel has to schedule for every open one.

use std::collections::HashSet;
use std::io::{self, Read};
use std::net::{self, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use nix::unistd::{ForkResult, fork};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, set_parent_process_death_signal, wait,
};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};

use super::{Accepts, Entry, Runs, Traits, Waits};
use crate::blocking::{READ_BYTES, serve_connection};
use crate::http::Service;
use crate::listener::refuse;
use crate::{ConcurrencyModel, DRAIN_TIME, Listener, Options, Shutdown, Site};

pub const ENTRY: Entry = Entry {
    name: "fork",
    about: "a process per connection",
    traits: Traits { waits: Waits::Blocking, runs: Runs::Process, accepts: Accepts::OneAcceptor },
    build: |options: &Options| Box::new(Fork { max_children: options.max_connections.get() }),
};

struct Fork {
    max_children: usize,
}

impl ConcurrencyModel for Fork {
    fn serve(&self, listener: Listener, site: Arc<Site>, shutdown: Shutdown) -> io::Result<()> {
        let (mut children, parent) = (Children::watch()?, getpid());
        // Made before the fork, so that no child has to.
        let (mut service, mut buffer) = (Service::new(site), vec![0; READ_BYTES]);
        while !shutdown.is_signalled() {
            children.reap_ended()?;
            if children.running.len() == self.max_children {
                children.wait(&[PollFd::new(&shutdown, PollFlags::IN)], None)?;
                continue;
            }
            let stream = match listener.accept_blocking() {
                Ok(stream) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let fds = [PollFd::new(&listener, PollFlags::IN), PollFd::new(&shutdown, PollFlags::IN)];
                    children.wait(&fds, None)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            // A stop signal must not reach a child that has no handler of its own yet: it would be lost.
            let blocked = block_stop_signals()?;
            // SAFETY: this process has one thread, so the child may do whatever its parent could.
            let forked = unsafe { fork() };
            if !matches!(forked, Ok(ForkResult::Child)) {
                blocked.thread_set_mask()?;
            }
            match forked {
                Ok(ForkResult::Child) => {
                    drop(listener);
                    shutdown.detach_signals();
                    serve_as_child(parent, stream, &blocked, &mut service, &mut buffer);
                }
                Ok(ForkResult::Parent { child }) => children.add(child.as_raw()),
                Err(_) => refuse(&stream),
            }
        }
        drop(listener);
        children.drain()
    }
}

/// Serves one connection and ends the process. A stop signal ends the connection's input: what was received is still
/// answered.
fn serve_as_child(
    parent: Pid,
    stream: TcpStream,
    blocked: &SigSet,
    service: &mut Service,
    buffer: &mut [u8],
) -> ! {
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    if getppid() != Some(parent) {
        // It died before it could be watched.
        signal_hook::low_level::exit(0);
    }
    let stream = Arc::new(stream);
    for signal in [SIGTERM, SIGINT] {
        let stream = Arc::clone(&stream);
        let end_input = move || {
            let _ = rustix::net::shutdown(&*stream, rustix::net::Shutdown::Read);
        };
        // SAFETY: the handler makes one system call, shutdown(2), which is async-signal-safe, and touches nothing else.
        let _ = unsafe { signal_hook::low_level::register(signal, end_input) };
    }
    let _ = blocked.thread_set_mask();
    let _ = serve_connection(&stream, service, buffer);
    // The end of the process would close it too, but only after taking down all its memory, and the client waits.
    let _ = stream.shutdown(net::Shutdown::Both);
    signal_hook::low_level::exit(0)
}

/// Holds SIGTERM and SIGINT back and gives the mask that was before.
fn block_stop_signals() -> io::Result<SigSet> {
    use nix::sys::signal::{SigmaskHow, Signal};
    let stop = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    Ok(stop.thread_swap_mask(SigmaskHow::SIG_BLOCK)?)
}

/// The child processes of this server.
struct Children {
    running: HashSet<Pid>,
    /// Whether SIGCHLD came since the last look.
    ended: Arc<AtomicBool>,
    /// Readable when it did.
    wake: UnixStream,
}

impl Children {
    fn watch() -> io::Result<Self> {
        let (wake, writer) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let ended = Arc::default();
        signal_hook::flag::register(SIGCHLD, Arc::clone(&ended))?;
        signal_hook::low_level::pipe::register(SIGCHLD, writer)?;
        Ok(Self { running: HashSet::new(), ended, wake })
    }

    fn add(&mut self, pid: i32) {
        self.running.extend(Pid::from_raw(pid));
    }

    /// Takes the exit status of every child that has ended, so that none stays behind as a zombie.
    fn reap_ended(&mut self) -> io::Result<()> {
        if !self.ended.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, _))) => self.running.remove(&pid),
                Ok(None) | Err(Errno::CHILD) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
        }
    }

    /// Waits for the end of a child, for one of `fds`, or for so long.
    fn wait(&mut self, fds: &[PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut all = vec![PollFd::new(&self.wake, PollFlags::IN)];
        all.extend_from_slice(fds);
        match poll(&mut all, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Empties the pipe; what it says is in `ended` already.
        let _ = (&self.wake).read(&mut [0; 512]);
        Ok(())
    }

    /// Lets the children finish what they are answering, and ends those that take too long.
    fn drain(mut self) -> io::Result<()> {
        let deadline = Instant::now() + DRAIN_TIME;
        self.send_all(Signal::TERM);
        while !self.running.is_empty() {
            self.reap_ended()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if !self.running.is_empty() {
                self.wait(&[], Some(left))?;
            }
        }
        self.send_all(Signal::KILL);
        while let Ok(Some(_)) = wait(WaitOptions::empty()) {}
        Ok(())
    }

    fn send_all(&self, signal: Signal) {
        for &pid in &self.running {
            let _ = kill_process(pid, signal);
        }
    }
}
