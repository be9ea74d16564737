//! One connection served by whoever calls, blocking: what all models with a thread or a process per connection share.

use std::io::{self, Read, Write};
use std::net::{self, TcpStream};

use crate::http::{Connection, Service, Want};

/// Room for one read. A request of a browser has about 1 KiB; pipelined ones come in larger pieces.
pub const READ_BYTES: usize = 16 * 1024;

/// Serves `stream` until the client or an answer ends the connection.
///
/// To stop early, shut down the socket's receiving side: what was received is still answered, then the end is seen.
pub fn serve_connection(mut stream: &TcpStream, service: &mut Service, buffer: &mut [u8]) -> io::Result<()> {
    let mut connection = Connection::default();
    loop {
        match connection.want() {
            Want::Read => match retry(|| stream.read(buffer))? {
                0 => connection.receive_end(),
                read => connection.receive(&buffer[..read], service),
            },
            Want::Write => {
                let written = retry(|| write_pending(stream, &connection))?;
                connection.advance(written, service);
            }
            Want::ShutdownWrite => {
                stream.shutdown(net::Shutdown::Write)?;
                connection.write_side_is_shut();
            }
            Want::Close => return Ok(()),
        }
    }
}

/// Sends what it can of the pending output with one call.
pub fn write_pending(mut stream: &TcpStream, connection: &Connection) -> io::Result<usize> {
    match connection.pending_output() {
        [small, large] if large.is_empty() => stream.write(&small),
        [small, large] if small.is_empty() => stream.write(&large),
        both => stream.write_vectored(&both),
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
