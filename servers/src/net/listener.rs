//! The one listener factory: the same socket options and the same backlog for every model.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use socket2::{Domain, Protocol, Socket, Type};

use crate::http::UNAVAILABLE;
use crate::net::shutdown::Shutdown;

/// Pause between two attempts to accept while the kernel has no memory for it; long compared with
/// an attempt, short compared with a client's timeout.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(10);

/// Longest time for which a closing listener tries to empty its queue while the kernel has no
/// memory for the connections in it.
const LONGEST_CLOSE: Duration = Duration::from_secs(1);

/// Most connections that an event loop accepts per turn.
const ACCEPTS_AT_ONCE: usize = 64;

/// Settings of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// Address to listen on.
    pub address: SocketAddr,
    /// Connections that may wait to be accepted; the kernel caps their number.
    pub backlog: u32,
    /// Timeout of calls on accepted sockets that are made blocking.
    pub idle_timeout: Duration,
    /// True if further sockets can listen on the same address, each with a queue of its own.
    pub sharded: bool,
    /// True if closed connections that are still in `TIME_WAIT` at the address don't prevent a
    /// start (`SO_REUSEADDR`). Linux asks for the option on both sides: accepted connections
    /// inherit it, and those of a listener without it stop every later start.
    pub reuse_address: bool,
}

/// A listening socket. It never blocks, unless [`Self::set_blocking`] changes that.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    listening: Listening,
    backlog: u32,
    /// Spare descriptor. When the process has no more descriptors, it is closed so that one
    /// connection can be taken off the queue and refused. Without it, the queue would stay readable
    /// and an event loop would spin on it.
    spare: Mutex<Option<File>>,
}

impl Listener {
    /// Listens on the address. Accepted connections inherit `TCP_NODELAY` and the timeouts of
    /// blocking calls. The kernel caps the backlog; [`Self::backlog`] returns the capped value.
    pub fn bind(listening: Listening) -> io::Result<Self> {
        if listening.sharded && listening.address.port() != 0 {
            // Shards share an address with any other socket that allows it, including those of
            // another server of ours. A bind without sharing fails if there is one.
            drop(bind(Listening { sharded: false, ..listening })?);
        }
        let socket = bind(listening)?;
        let backlog = listening.backlog;
        Ok(Self {
            socket,
            listening,
            backlog: kernel_backlog_limit().map_or(backlog, |limit| backlog.min(limit)),
            spare: Mutex::new(File::open("/dev/null").ok()),
        })
    }

    /// Returns this listener and further ones on the same address, `count` in all; the kernel
    /// distributes new connections among them.
    pub fn into_shards(self, count: usize) -> io::Result<Vec<Self>> {
        let listening = Listening { address: self.local_address()?, ..self.listening };
        let mut shards = vec![self];
        while shards.len() < count {
            let spare = Mutex::new(File::open("/dev/null").ok());
            shards.push(Self {
                socket: bind(listening)?,
                listening,
                backlog: shards[0].backlog,
                spare,
            });
        }
        Ok(shards)
    }

    /// Returns the address listened on, with the port that the kernel chose if it was left open.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Returns the number of connections that may wait to be accepted.
    pub fn backlog(&self) -> u32 {
        self.backlog
    }

    /// Takes the next connection for non-blocking use; `WouldBlock` when none is waiting.
    pub fn accept(&self) -> io::Result<TcpStream> {
        self.accept_or_shed(Blocking::No)
    }

    /// Takes waiting connections for non-blocking use: at most `at_most`, and few enough that the
    /// open connections don't wait long for their turn.
    pub fn accept_some(&self, at_most: usize, mut take: impl FnMut(TcpStream)) -> io::Result<()> {
        for _ in 0..at_most.min(ACCEPTS_AT_ONCE) {
            match self.accept() {
                Ok(stream) => take(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes the next connection for blocking use; `WouldBlock` when none is waiting.
    pub fn accept_blocking(&self) -> io::Result<TcpStream> {
        self.accept_or_shed(Blocking::Yes)
    }

    /// Sets the listener to blocking or non-blocking mode. In blocking mode,
    /// [`Self::accept_blocking`] waits for a connection; of several waiting threads or processes,
    /// one is woken.
    pub fn set_blocking(&self, blocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(!blocking)
    }

    /// Stops listening. Returns the connections that waited to be accepted, for non-blocking use:
    /// for their clients they are established already.
    ///
    /// Other processes that hold this socket can't accept from it any more either.
    pub fn close(&self) -> Vec<TcpStream> {
        let mut waiting = Vec::new();
        let _ = self.socket.set_nonblocking(true);
        let begin = Instant::now();
        // The queue holds no more connections than this; further ones have arrived since the close
        // began.
        for _ in 0..=self.backlog {
            match self.accept() {
                Ok(stream) => waiting.push(stream),
                Err(error) if is_empty(&error) || begin.elapsed() > LONGEST_CLOSE => break,
                // A connection was refused for lack of capacity; the next one is taken and refused
                // too.
                Err(_) => {}
            }
        }
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read);
        waiting
    }

    /// Stops listening like [`Self::close`], but returns the connections for blocking use.
    pub fn close_blocking(&self) -> impl Iterator<Item = TcpStream> + use<> {
        self.close().into_iter().filter(|stream| stream.set_nonblocking(false).is_ok())
    }

    /// Waits for the next connection, for blocking use; `None` when the shutdown came first.
    pub fn wait_accept(&self, shutdown: &Shutdown) -> io::Result<Option<TcpStream>> {
        self.wait_accept_as(Blocking::Yes, shutdown)
    }

    /// Waits for the next connection, for non-blocking use; `None` when the shutdown came first.
    pub fn wait_accept_non_blocking(&self, shutdown: &Shutdown) -> io::Result<Option<TcpStream>> {
        self.wait_accept_as(Blocking::No, shutdown)
    }

    fn wait_accept_as(
        &self,
        blocking: Blocking,
        shutdown: &Shutdown,
    ) -> io::Result<Option<TcpStream>> {
        while !shutdown.is_signalled() {
            // Under load a connection is already there, and this is the only call.
            match self.accept_or_shed(blocking) {
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

    fn accept_or_shed(&self, blocking: Blocking) -> io::Result<TcpStream> {
        loop {
            match accept(&self.socket, blocking) {
                Ok(stream) => return Ok(stream),
                Err(Errno::MFILE | Errno::NFILE) => return self.accept_with_spare(blocking),
                // These concern the connection that was to be accepted, not the listener
                // (accept(2), "Error handling").
                Err(
                    Errno::CONNABORTED
                    | Errno::PROTO
                    | Errno::NETDOWN
                    | Errno::HOSTDOWN
                    | Errno::HOSTUNREACH
                    | Errno::NETUNREACH
                    | Errno::NOPROTOOPT
                    | Errno::OPNOTSUPP,
                ) => {}
                // The caller may have to react to the signal.
                Err(Errno::INTR) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(Errno::NOBUFS | Errno::NOMEM | Errno::PERM) => return Err(pause()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Accepts one connection when the process is out of descriptors, by closing the spare
    /// descriptor, and refuses the connection. The connection is kept if descriptors have been
    /// freed meanwhile: a blocking listener may wait for it until long after the shortage.
    fn accept_with_spare(&self, blocking: Blocking) -> io::Result<TcpStream> {
        // The lock is not held during the wait; otherwise no other thread could close the listener
        // meanwhile.
        let Some(spent) = self.spare().take() else {
            // Another thread is using the spare descriptor, or it could not be opened again.
            let pause = pause();
            let restored = File::open("/dev/null").ok();
            let mut spare = self.spare();
            *spare = spare.take().or(restored);
            return Err(pause);
        };
        drop(spent);
        let accepted = accept(&self.socket, blocking);
        let restored = File::open("/dev/null").ok();
        let is_restored = restored.is_some();
        *self.spare() = restored;
        match accepted {
            Ok(stream) if is_restored => Ok(stream),
            Ok(stream) => {
                refuse(&stream);
                drop(stream);
                *self.spare() = File::open("/dev/null").ok();
                // Open connections should not wait for a flood to end.
                Err(io::ErrorKind::WouldBlock.into())
            }
            // This error is passed on unchanged: it says that no connection is waiting, whereas the
            // errors above say that one may be.
            Err(Errno::AGAIN) => Err(Errno::AGAIN.into()),
            // Another thread has taken the connection; any other cause shows at the next attempt.
            Err(_) => Err(pause()),
        }
    }

    fn spare(&self) -> MutexGuard<'_, Option<File>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Mode of an accepted socket: calls on it wait, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocking {
    Yes,
    No,
}

fn accept(socket: &TcpListener, blocking: Blocking) -> rustix::io::Result<TcpStream> {
    let flags = match blocking {
        Blocking::Yes => SocketFlags::CLOEXEC,
        Blocking::No => SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
    };
    Ok(accept_with(socket, flags)?.into())
}

fn bind(listening: Listening) -> io::Result<TcpListener> {
    let Listening { address, backlog, idle_timeout, sharded, reuse_address } = listening;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(reuse_address)?;
    socket.set_reuse_port(sharded)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(idle_timeout))?;
    socket.set_write_timeout(Some(idle_timeout))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Waits a moment for a resource that the machine lacks now and that will be freed; returns
/// `WouldBlock`, as if no connection had come.
fn pause() -> io::Error {
    std::thread::sleep(SHORTAGE_PAUSE);
    io::ErrorKind::WouldBlock.into()
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Returns true if an error of [`Listener::accept`] says that no connection is waiting. Any other
/// `WouldBlock` says only that none can be taken now, which matters to a model that is notified of
/// new connections and not of waiting ones.
pub fn is_empty(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::AGAIN.raw_os_error())
}

/// Tells a client that the server has no capacity for it. The client may not have sent anything
/// yet; a request that it sends later meets a closed socket, as it would with a server that has
/// crashed.
pub fn refuse(stream: &TcpStream) {
    use std::io::Write;
    let _ = stream.set_nonblocking(true);
    let _ = (&mut &*stream).write(UNAVAILABLE);
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

/// Reads `net.core.somaxconn`, if the system has it.
fn kernel_backlog_limit() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(sharded: bool) -> Listener {
        let idle_timeout = Duration::from_secs(33);
        let listening = Listening {
            address: ([127, 0, 0, 1], 0).into(),
            backlog: 16,
            idle_timeout,
            sharded,
            reuse_address: true,
        };
        Listener::bind(listening).unwrap()
    }

    fn connect(listener: &Listener) -> TcpStream {
        TcpStream::connect(listener.local_address().unwrap()).unwrap()
    }

    #[test]
    fn accepted_connections_inherit_tcp_nodelay_and_the_timeouts() {
        let listener = listener(false);
        let shutdown = Shutdown::new().unwrap();
        let _client = connect(&listener);
        let accepted = listener.wait_accept(&shutdown).unwrap().unwrap();
        assert!(accepted.nodelay().unwrap());
        assert_eq!(accepted.read_timeout().unwrap(), Some(Duration::from_secs(33)));
        assert_eq!(accepted.write_timeout().unwrap(), Some(Duration::from_secs(33)));
    }

    #[test]
    fn waiting_ends_with_the_shutdown() {
        let listener = listener(false);
        let shutdown = Shutdown::new().unwrap();
        let signal = shutdown.clone();
        let thread = std::thread::spawn(move || signal.signal());
        assert!(listener.wait_accept(&shutdown).unwrap().is_none());
        thread.join().unwrap();
    }

    #[test]
    fn closing_returns_the_waiting_connections_and_refuses_new_ones() {
        let listener = listener(false);
        let address = listener.local_address().unwrap();
        let clients: Vec<TcpStream> = (0..5).map(|_| connect(&listener)).collect();
        let arrived: Vec<_> =
            listener.close().iter().map(|stream| stream.peer_addr().unwrap()).collect();
        assert_eq!(
            arrived,
            clients.iter().map(|client| client.local_addr().unwrap()).collect::<Vec<_>>()
        );
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn shards_share_an_address_with_each_other_and_with_no_other_listener() {
        let shards = listener(true).into_shards(3).unwrap();
        let address = shards[2].local_address().unwrap();
        assert!(shards.iter().all(|shard| shard.local_address().unwrap() == address));
        let again = Listener::bind(Listening { address, ..shards[0].listening });
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let _clients: Vec<TcpStream> = (0..5).map(|_| connect(&shards[0])).collect();
        assert_eq!(shards.into_iter().map(|shard| shard.close().len()).sum::<usize>(), 5);
    }
}
