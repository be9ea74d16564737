//! The one listener factory: the same socket options and the same backlog for every model.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use socket2::{Domain, Protocol, Socket, Type};

use crate::http::UNAVAILABLE;
use crate::shutdown::Shutdown;

/// Between two tries to accept when the kernel has no memory for it; long against a try, short against a client's time.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(10);

/// A listening socket that never blocks.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    backlog: u32,
    /// A descriptor kept back: when there are no more, it makes room to take a connection off the queue and refuse it.
    /// Without that, the queue would stay readable and an event loop would spin on it.
    reserve: Mutex<Option<File>>,
}

impl Listener {
    /// Listens on `address` with `SO_REUSEADDR` (a restart within `TIME_WAIT` works) and `TCP_NODELAY`, which accepted
    /// connections inherit. The kernel caps the backlog; [`Self::backlog`] tells what came of it.
    pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(Self {
            socket: socket.into(),
            backlog: kernel_backlog_limit().map_or(backlog, |limit| backlog.min(limit)),
            reserve: Mutex::new(File::open("/dev/null").ok()),
        })
    }

    /// The address listened on, with the port that the kernel chose if it was left open.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Connections that may wait to be accepted.
    pub fn backlog(&self) -> u32 {
        self.backlog
    }

    /// Takes the next connection for non-blocking use; `WouldBlock` when none is waiting.
    pub fn accept(&self) -> io::Result<TcpStream> {
        self.accept_with(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
    }

    /// Takes the next connection for blocking use; `WouldBlock` when none is waiting.
    pub fn accept_blocking(&self) -> io::Result<TcpStream> {
        self.accept_with(SocketFlags::CLOEXEC)
    }

    /// Waits for the next connection, for blocking use; `None` when the shutdown came first.
    pub fn wait_accept(&self, shutdown: &Shutdown) -> io::Result<Option<TcpStream>> {
        while !shutdown.is_signalled() {
            // Under load a connection is already there, and this is the only call.
            match self.accept_blocking() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(shutdown)?,
                accepted => return accepted.map(Some),
            }
        }
        Ok(None)
    }

    fn wait(&self, shutdown: &Shutdown) -> io::Result<()> {
        let mut fds = [PollFd::new(self, PollFlags::IN), PollFd::new(shutdown, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn accept_with(&self, flags: SocketFlags) -> io::Result<TcpStream> {
        loop {
            match accept_with(&self.socket, flags) {
                Ok(stream) => return Ok(stream.into()),
                Err(Errno::MFILE | Errno::NFILE) => {
                    self.refuse_one()?;
                    // Whoever is served already should not wait for a flood to end.
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                // These concern the connection that was to be accepted, not the listener (accept(2), "Error handling").
                Err(
                    Errno::CONNABORTED
                    | Errno::INTR
                    | Errno::PROTO
                    | Errno::NETDOWN
                    | Errno::HOSTDOWN
                    | Errno::HOSTUNREACH
                    | Errno::NETUNREACH
                    | Errno::NOPROTOOPT
                    | Errno::OPNOTSUPP,
                ) => {}
                Err(Errno::NOBUFS | Errno::NOMEM | Errno::PERM) => return Err(pause()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Out of descriptors: spends the reserve on taking one connection off the queue and telling it so.
    fn refuse_one(&self) -> io::Result<()> {
        let mut reserve = self.reserve.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(reserve.take());
        let refused = accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).map(|stream| {
            refuse(&stream.into());
        });
        *reserve = File::open("/dev/null").ok();
        match refused {
            Ok(()) => Ok(()),
            Err(Errno::MFILE | Errno::NFILE) => Err(pause()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The machine is out of something that others will give back: waits a moment, then it is as if nobody had come.
fn pause() -> io::Error {
    std::thread::sleep(SHORTAGE_PAUSE);
    io::ErrorKind::WouldBlock.into()
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Tells a client that there is no room for it. It may not have sent anything yet; what it sends later meets a closed
/// socket, as it would with a server that has crashed.
pub fn refuse(stream: &TcpStream) {
    use std::io::Write;
    let _ = stream.set_nonblocking(true);
    let _ = (&mut &*stream).write(UNAVAILABLE);
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

/// `net.core.somaxconn`, where there is one.
fn kernel_backlog_limit() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_connections_inherit_tcp_nodelay() {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), 16).unwrap();
        let shutdown = Shutdown::new().unwrap();
        let _client = TcpStream::connect(listener.local_address().unwrap()).unwrap();
        let accepted = listener.wait_accept(&shutdown).unwrap().unwrap();
        assert!(accepted.nodelay().unwrap());
    }

    #[test]
    fn waiting_ends_with_the_shutdown() {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), 16).unwrap();
        let shutdown = Shutdown::new().unwrap();
        let signal = shutdown.clone();
        let thread = std::thread::spawn(move || signal.signal());
        assert!(listener.wait_accept(&shutdown).unwrap().is_none());
        thread.join().unwrap();
    }
}
