//! Child processes with blocking I/O, shared by the models that fork: the parent's side and the
//! child's side.

use std::collections::HashSet;
use std::io::{self, Read};
use std::net::{self, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal as Sig};
use nix::unistd::{ForkResult, fork};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpid, getppid, kill_process, waitpid};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::{SigId, low_level};

use crate::blocking::connection::serve_connection;
use crate::http::Service;
use crate::net::shutdown::Shutdown;
use crate::thread_limit;

/// The child processes of this server.
#[derive(Debug)]
pub struct Children {
    running: HashSet<Pid>,
    /// True if SIGCHLD came since the last check.
    ended: Arc<AtomicBool>,
    /// Readable after SIGCHLD.
    wake: UnixStream,
    /// Handlers of SIGCHLD: one sets `ended`, one makes `wake` readable.
    handlers: [SigId; 2],
}

impl Children {
    /// Starts watching for children that exit.
    ///
    /// # Errors
    /// Fails if this process has other threads: fork copies only the calling thread, so a lock that
    /// another thread holds would stay locked in the child for ever.
    pub fn watch() -> io::Result<Self> {
        if thread_limit::count().is_some_and(|count| count > 1) {
            return Err(io::Error::other(
                "a model that forks needs a process without other threads",
            ));
        }
        let (wake, writer) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let ended = Arc::default();
        let flag = signal_hook::flag::register(SIGCHLD, Arc::clone(&ended))?;
        let handlers = [flag, low_level::pipe::register(SIGCHLD, writer)?];
        Ok(Self { running: HashSet::new(), ended, wake, handlers })
    }

    /// Returns the number of children that are known to run.
    pub fn count(&self) -> usize {
        self.running.len()
    }

    /// Forks a child, which runs `serve` and then exits.
    ///
    /// This process must have only one thread.
    pub fn fork(&mut self, shutdown: &Shutdown, serve: impl FnOnce(Child)) -> io::Result<()> {
        let parent = getpid();
        // A stop signal must not reach a child that has no handler of its own yet: it would be
        // lost.
        let before = block_stop_signals()?;
        // SAFETY: this process has one thread: that was checked at the start, and no model that
        // forks starts another one. So the child may do everything that its parent could.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                shutdown.keep_to_itself();
                if let Some(child) = Child::begin(parent, shutdown) {
                    let _ = before.thread_set_mask();
                    serve(child);
                }
                low_level::exit(0)
            }
            Ok(ForkResult::Parent { child }) => {
                before.thread_set_mask()?;
                self.running.extend(Pid::from_raw(child.as_raw()));
                Ok(())
            }
            Err(error) => {
                before.thread_set_mask()?;
                Err(error.into())
            }
        }
    }

    /// Takes the exit status of every child that has ended, so that none remains as a zombie.
    /// Children that other code of this process has started keep their status for that code.
    pub fn reap_ended(&mut self) -> io::Result<()> {
        if !self.ended.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        while let Some(pid) = peek()? {
            if !self.running.remove(&pid) {
                // Other code has started this child, and it would be reported at every call, so
                // each of our own children is checked by its process id.
                self.running.retain(|&child| !has_ended(child));
                break;
            }
            // The child has ended, so this call does not wait.
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
        Ok(())
    }

    /// Waits until a child ends, one of `fds` is ready, or `timeout` is over.
    pub fn wait(&mut self, fds: &[PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut all = vec![PollFd::new(&self.wake, PollFlags::IN)];
        all.extend_from_slice(fds);
        match poll(&mut all, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Empties the pipe; `ended` is set already.
        let _ = (&self.wake).read(&mut [0; 512]);
        Ok(())
    }

    /// Tells the children to stop.
    pub fn stop(&self) {
        self.send_all(Signal::TERM);
    }

    /// Stops the children, lets them finish their requests in flight, and kills those that take too
    /// long.
    pub fn drain(mut self, shutdown: &Shutdown) -> io::Result<()> {
        self.stop();
        while !self.running.is_empty() {
            self.reap_ended()?;
            let left = shutdown.drain_time_left();
            if left.is_zero() {
                break;
            }
            if !self.running.is_empty() {
                self.wait(&[], Some(left))?;
            }
        }
        self.send_all(Signal::KILL);
        for &child in &self.running {
            let _ = waitpid(Some(child), WaitOptions::empty());
        }
        Ok(())
    }

    fn send_all(&self, signal: Signal) {
        for &pid in &self.running {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Returns a child of this process that has ended, even if other code has started it, without
/// taking its exit status.
fn peek() -> io::Result<Option<Pid>> {
    use nix::errno::Errno;
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, flags) {
        Ok(status) => Ok(status.pid().and_then(|pid| Pid::from_raw(pid.as_raw()))),
        Err(Errno::ECHILD) => Ok(None),
        // A child was ended by a signal that nix has no name for, and nix does not report which
        // child. The id of this process, which is never one of its own children, is returned
        // instead.
        Err(Errno::EINVAL) => Ok(Some(getpid())),
        Err(error) => Err(error.into()),
    }
}

/// Returns true if a child has ended; its exit status is then taken.
fn has_ended(child: Pid) -> bool {
    matches!(waitpid(Some(child), WaitOptions::NOHANG), Ok(Some(_)) | Err(Errno::CHILD))
}

impl Drop for Children {
    fn drop(&mut self) {
        for handler in self.handlers {
            low_level::unregister(handler);
        }
    }
}

/// Blocks SIGTERM and SIGINT and returns the previous mask.
fn block_stop_signals() -> io::Result<SigSet> {
    let stop = SigSet::from_iter([Sig::SIGTERM, Sig::SIGINT]);
    Ok(stop.thread_swap_mask(SigmaskHow::SIG_BLOCK)?)
}

/// The child's side, which serves one connection after the other. A stop signal ends the input of
/// the current connection, so that requests that were received are still answered.
#[derive(Debug)]
pub struct Child {
    shutdown: Shutdown,
    /// Socket of the connection whose input a stop signal ends, -1 for none.
    serving: Arc<AtomicI32>,
}

impl Child {
    /// Prepares a child; returns `None` if the parent died before it could be watched.
    fn begin(parent: Pid, shutdown: &Shutdown) -> Option<Self> {
        die_with_parent();
        if getppid() != Some(parent) {
            return None;
        }
        let serving = Arc::new(AtomicI32::new(-1));
        for signal in [SIGTERM, SIGINT] {
            let serving = Arc::clone(&serving);
            // SAFETY: the handler reads an atomic and makes one system call, which is
            // async-signal-safe.
            let _ = unsafe {
                low_level::register(signal, move || end_input(serving.load(Ordering::SeqCst)))
            };
        }
        Some(Self { shutdown: shutdown.clone(), serving })
    }

    /// Serves `stream` to its end.
    pub fn serve(&self, stream: &TcpStream, service: &mut Service, buffer: &mut Vec<u8>) {
        self.serving.store(stream.as_raw_fd(), Ordering::SeqCst);
        if self.shutdown.is_signalled() {
            // The signal came before the connection was in `serving`.
            end_input(stream.as_raw_fd());
        }
        let _ = serve_connection(stream, service, buffer, &self.shutdown);
        self.serving.store(-1, Ordering::SeqCst);
        // The end of the process would close the socket too, but only after freeing all its memory,
        // while the client waits.
        let _ = stream.shutdown(net::Shutdown::Both);
    }

    /// Returns true if the child was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.shutdown.is_signalled()
    }
}

/// Shuts down the receiving side of the socket with that number.
fn end_input(socket: i32) {
    if socket >= 0 {
        // SAFETY: the number was stored by `Child::serve`, which keeps the socket open until it has
        // removed the number.
        let socket = unsafe { BorrowedFd::borrow_raw(socket) };
        let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Read);
    }
}

/// Asks the kernel to send SIGTERM to this process when its parent dies.
fn die_with_parent() {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
}
