//! A blocking client of one connection. It checks if a server is ready, and if the server sends
//! what it should, to the last byte.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use c10k_servers::site::DEFAULT_PAGE;
use httparse::Status;

/// Time that the response of a server that is ready may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two tries of a server that is not at rest yet.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Most header fields of a response; a server that sends more is set up for something else.
const MAX_FIELDS: usize = 64;

/// A connection to a server.
#[derive(Debug)]
pub struct Client(TcpStream);

/// Head of a response: the part before its body.
#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    /// Length of the head in bytes: the body begins there.
    length: usize,
    body_length: Option<usize>,
}

impl Client {
    /// Connects to a server; neither connecting nor any single read or write may take longer than
    /// `patience`.
    pub fn connect(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends a GET of `path`.
    pub fn send(&mut self, path: &str) -> io::Result<()> {
        let host = self.0.peer_addr()?;
        self.0.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
    }

    /// Reads the response to one request and returns its body.
    ///
    /// # Errors
    /// When the response does not come in time, or has another status than 200 or no
    /// `Content-Length`.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut received = Vec::new();
        let head = self.receive_head(&mut received)?;
        let length = match (head.status, head.body_length) {
            (200, Some(length)) => length,
            (200, None) => return Err(io::Error::other("it answered without a `Content-Length`")),
            (status, _) => {
                return Err(io::Error::other(format!("it answered with status {status}")));
            }
        };
        while received.len() < head.length + length {
            self.read(&mut received)?;
        }
        Ok(received.split_off(head.length))
    }

    /// Reads the head of a response, and any part of the body that comes with it.
    fn receive_head(&mut self, received: &mut Vec<u8>) -> io::Result<Head> {
        loop {
            self.read(received)?;
            if let Some(head) = parse_head(received)? {
                return Ok(head);
            }
        }
    }

    fn read(&mut self, received: &mut Vec<u8>) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let read = self.0.read(&mut buffer)?;
        received.extend_from_slice(&buffer[..read]);
        if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// Parses the head of a response; returns `None` until it is complete.
fn parse_head(received: &[u8]) -> io::Result<Option<Head>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let Status::Complete(length) = response.parse(received).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let field =
        response.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let body_length = field.and_then(|field| str::from_utf8(field.value).ok()?.trim().parse().ok());
    Ok(Some(Head { status: response.code.unwrap_or_default(), length, body_length }))
}

/// Checks that a GET of `path` is answered with a status of success.
pub(super) fn check_answers(address: SocketAddr, path: &str, patience: Duration) -> io::Result<()> {
    let mut client = Client::connect(address, patience)?;
    client.send(path)?;
    match client.receive_head(&mut Vec::new())?.status {
        200..300 => Ok(()),
        status => Err(io::Error::other(format!("it answered GET {path} with status {status}"))),
    }
}

/// Waits until a server has handled the requests of connections that are closed, so that it answers
/// a new one.
///
/// # Errors
/// When the server does not answer within `patience`.
pub fn drain(address: SocketAddr, path: &str, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match check_answers(address, path, patience) {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).context("it did not come to rest between two rates");
            }
            Err(_) => thread::sleep(BETWEEN_TRIES),
        }
    }
}

/// Sends the bytes of a request to a server that is ready, and returns the status of the response.
pub fn status_of(address: SocketAddr, request: &[u8]) -> io::Result<u16> {
    let mut client = Client::connect(address, PATIENCE)?;
    client.0.write_all(request)?;
    Ok(client.receive_head(&mut Vec::new())?.status)
}

/// Checks that `path` is the embedded page, byte for byte: a server that sends something else can't
/// be compared with others.
pub fn check_page(address: SocketAddr, path: &str) -> Result<()> {
    let get = || {
        let mut client = Client::connect(address, PATIENCE)?;
        client.send(path)?;
        client.receive()
    };
    let body = get().with_context(|| format!("it does not give the page at {path}"))?;
    let (found, expected) = (body.len(), DEFAULT_PAGE.len());
    ensure!(
        body == DEFAULT_PAGE.as_bytes(),
        "it serves another page of {found} bytes at {path}; the embedded one has {expected}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Starts a server that gives one client this response.
    fn server(response: String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(response.as_bytes()).unwrap();
        });
        address
    }

    #[track_caller]
    fn assert_refused(response: String, expected: &str) {
        let error = format!("{:#}", check_page(server(response), "/").unwrap_err());
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }

    fn with_length(page: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len())
    }

    #[test]
    fn only_the_page_itself_passes() {
        check_page(server(with_length(DEFAULT_PAGE)), "/").unwrap();
        assert_refused(with_length("short"), "5 bytes at /");
        assert_refused(with_length(&DEFAULT_PAGE.replace('a', "b")), "1024");
        assert_refused("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into(), "status 404");
        assert_refused(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            "Content-Length",
        );
        assert_refused(
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".into(),
            "does not give the page",
        );
        assert_refused("ERR unknown command\r\n".into(), "invalid HTTP version");
    }

    #[test]
    fn every_status_of_success_is_a_sign_of_readiness() {
        let status = |status: &str| {
            let address = server(format!("HTTP/1.0 {status}\r\n\r\n"));
            check_answers(address, "/health", PATIENCE).map_err(|error| error.to_string())
        };
        status("204 No Content").unwrap();
        assert_eq!(
            status("503 Warming Up").unwrap_err(),
            "it answered GET /health with status 503"
        );
    }
}
