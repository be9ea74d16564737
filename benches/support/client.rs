//! A blocking client of one connection, which looks at every answer to the last octet.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection to a server.
#[derive(Debug)]
pub struct Client(TcpStream);

impl Client {
    /// Connects; neither that nor any answer may take longer than `patience`.
    pub fn connect(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Asks for `path`.
    pub fn send(&mut self, path: &str) -> io::Result<()> {
        self.0.write_all(format!("GET {path} HTTP/1.1\r\nHost: c10k\r\n\r\n").as_bytes())
    }

    /// Reads the answer to one request and gives its body.
    ///
    /// # Errors
    /// When it does not come in time, or is not of status 200 with a `Content-Length`.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let (mut answer, mut body) = (Vec::new(), None);
        while body.is_none_or(|(begin, length)| answer.len() < begin + length) {
            let mut buffer = [0; 4096];
            match self.0.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                octets => answer.extend_from_slice(&buffer[..octets]),
            }
            if body.is_none() {
                body = find_body(&answer)?;
            }
        }
        Ok(answer.split_off(body.map_or(0, |(begin, _)| begin)))
    }
}

/// Where the body begins and how long it is, once the head is there.
fn find_body(answer: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = answer.windows(4).position(|octets| octets == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let length = lines.find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    match length {
        Some(length) if status.starts_with("http/1.1 200 ") => Ok(Some((end + 4, length))),
        _ => Err(io::Error::other(format!("it answered `{status}`"))),
    }
}
