//! Blocking I/O loop of one connection, run by the caller and shared by all models with a thread or
//! a process per connection.

use std::io::{self, IoSlice, Write};
use std::net::{self, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, recv};

use crate::http::{Connection, Service, Want};
use crate::net::shutdown::Shutdown;

/// Pause between two reads of a connection whose receiving side was shut down by a stop.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Buffer size for one read. A request of a browser has about 1 KiB; pipelined ones come in larger
/// pieces.
pub const READ_BYTES: usize = 16 * 1024;

/// Stack size of a thread that serves a connection. Its buffer is on the heap; of both, only
/// touched pages take memory.
pub const STACK_BYTES: usize = 256 * 1024;

/// Shortest timeout of a socket; zero would mean no timeout.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);

/// Stream whose calls block the caller until they are done.
pub trait BlockingStream {
    /// Appends received bytes to `buffer`, up to its free capacity, which must not be zero; returns
    /// their number.
    fn read(&self, buffer: &mut Vec<u8>) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;
    fn shutdown_write(&self) -> io::Result<()>;
    /// Sets the timeout of reads. Initially it is the idle timeout of the listener.
    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()>;
    /// Blocks the caller for about `time`, or until something happens on the connection.
    fn pause(&self, time: Duration) {
        thread::sleep(time);
    }
    /// Blocks the caller until `time`.
    fn wait_until(&self, time: Instant) {
        thread::sleep(time.saturating_duration_since(Instant::now()));
    }
}

impl BlockingStream for TcpStream {
    fn read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        debug_assert!(buffer.len() < buffer.capacity(), "nothing received would look like the end");
        let (_, received) = recv(self, spare_capacity(buffer), RecvFlags::empty())?;
        Ok(received)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Write::write_vectored(&mut &*self, pieces)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(net::Shutdown::Write)
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        Self::set_read_timeout(self, Some(timeout))
    }
}

/// Serves `stream` until the client or a response ends the connection, or the client takes too
/// long.
///
/// To stop early, signal the shutdown and shut down the socket's receiving side: requests that were
/// received or are on their way are still answered, then the end of the stream is read.
pub fn serve_connection(
    stream: &impl BlockingStream,
    service: &mut Service,
    buffer: &mut Vec<u8>,
    shutdown: &Shutdown,
) -> io::Result<()> {
    service.set_time(Instant::now());
    let mut connection = Connection::new(service.now());
    // The socket inherits this timeout from its listener. It stays as it is while every read brings
    // whole requests.
    let mut timeout = service.timeouts().idle;
    loop {
        if shutdown.is_signalled() {
            service.close_after_responses();
        }
        match connection.want() {
            Want::Read => {
                set_timeout(stream, &mut timeout, time_left(&connection, service))?;
                buffer.clear();
                let read = retry(|| stream.read(buffer));
                service.set_time(Instant::now());
                match read {
                    Ok(0) if may_go_on(&connection, shutdown) => stream.pause(LOOK_AGAIN),
                    Ok(0) => connection.receive_end(),
                    Ok(_) => connection.receive(buffer, service),
                    Err(error) if is_timeout(&error) => connection.time_out(service),
                    Err(error) => return Err(error),
                }
            }
            Want::Write => match retry(|| write_pending(stream, &connection)) {
                Ok(written) => connection.advance(written, service),
                Err(error) if is_timeout(&error) => connection.time_out(service),
                Err(error) => return Err(error),
            },
            Want::ShutdownWrite => {
                stream.shutdown_write()?;
                connection.write_side_is_shut(service);
            }
            Want::WaitUntil(time) => {
                stream.wait_until(time);
                service.set_time(Instant::now());
                connection.finish_wait(service);
            }
            Want::RunJob | Want::Reply => unreachable!("handlers run in place here"),
            Want::Close => return Ok(()),
        }
    }
}

/// Sends as much of the pending output as one call can.
pub fn write_pending(stream: &impl BlockingStream, connection: &Connection) -> io::Result<usize> {
    match connection.pending_output() {
        [small, large] if large.is_empty() => stream.write(&small),
        [small, large] if small.is_empty() => stream.write(&large),
        both => stream.write_vectored(&both),
    }
}

/// Returns true if more data may come although the end of the stream was read. The end may only be
/// the result of the server's own shutdown of the receiving side, after which the kernel still
/// takes data that is on its way.
fn may_go_on(connection: &Connection, shutdown: &Shutdown) -> bool {
    shutdown.is_signalled()
        && (!shutdown.is_last_call_over() || (!connection.is_idle() && shutdown.has_drain_time()))
}

fn time_left(connection: &Connection, service: &Service) -> Duration {
    let deadline = connection.deadline(service);
    deadline.map_or(service.timeouts().idle, |deadline| {
        deadline.saturating_duration_since(service.now())
    })
}

fn set_timeout(
    stream: &impl BlockingStream,
    is: &mut Duration,
    wanted: Duration,
) -> io::Result<()> {
    if *is != wanted {
        *is = wanted;
        stream.set_read_timeout(wanted.max(SHORTEST_TIMEOUT))?;
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
