//! A client made for these tests: it sends exactly the bytes that it is given, when it is told to,
//! and parses responses so strictly that a missing or an extra byte is noticed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use c10k_loadgen::sock_diag;
use socket2::{Domain, SockRef, Socket, Type};

use crate::wait::PATIENCE;

/// State of a connection that neither end has closed (`tcp_states.h` of Linux).
const TCP_ESTABLISHED: u8 = 1;

/// Size of one read; different from the server's, so that data is split at other places.
const READ_BYTES: usize = 64 * 1024;

/// A connection to a server, and the received bytes that belong to no response yet.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

/// One complete response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers, up to and with the empty line.
    pub head: String,
    pub body: Vec<u8>,
}

/// A request after which the connection ends.
pub const CLOSE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Returns a GET request of HTTP/1.1 with nothing special about it.
pub fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Returns the documented body of `/bytes/N`.
pub fn pattern(length: usize) -> Vec<u8> {
    let byte = |i: usize| match i % 64 {
        63 => b'\n',
        column => b'0' + ((i / 64 + column) % 64) as u8,
    };
    // The pattern repeats every 64 lines.
    let block: Vec<u8> = (0..64 * 64).map(byte).collect();
    let mut pattern = block.repeat(length.div_ceil(block.len()));
    pattern.truncate(length);
    pattern
}

impl Client {
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).expect("the server takes connections"))
    }

    /// Connects a client; returns an error if no server listens there.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(address).map(Self::of)
    }

    /// Connects a client with a small receive buffer, so that the server soon has to wait for it.
    #[track_caller]
    pub fn connect_with_small_buffer(address: SocketAddr, bytes: usize) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)
            .expect("sockets can be had");
        // Set before connecting, since the handshake agrees on the window.
        socket.set_recv_buffer_size(bytes).expect("a buffer's size can be set");
        socket.connect(&address.into()).expect("the server takes connections");
        Self::of(socket.into())
    }

    fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP has TCP_NODELAY");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self { stream, received: Vec::new() }
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes what is sent");
    }

    /// Sends bytes to a server that may have gone away. Returns true if it took them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends a GET request and reads the response.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Answer {
        self.send(get(target));
        self.answer()
    }

    /// Sends bytes and reads one response.
    #[track_caller]
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.send(bytes);
        self.answer()
    }

    /// Reads one response with its body.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.read_answer(true).expect("a whole response comes")
    }

    /// Reads one response to a HEAD request.
    #[track_caller]
    pub fn answer_without_body(&mut self) -> Answer {
        self.read_answer(false).expect("a whole response comes")
    }

    /// Reads one response; returns an error if there is none, or only a part of it.
    pub fn try_answer(&mut self) -> io::Result<Answer> {
        self.read_answer(true)
    }

    /// Reads one response; returns `None` if the connection ends instead. Panics if only a part of
    /// a response comes.
    #[track_caller]
    pub fn whole_answer_or_nothing(&mut self) -> Option<Answer> {
        assert!(self.received.is_empty(), "the response before was too long");
        match self.receive() {
            Ok(0) => None,
            Ok(_) => Some(self.answer()),
            Err(error) => {
                assert_ne!(
                    error.kind(),
                    io::ErrorKind::WouldBlock,
                    "neither a response nor the end"
                );
                None
            }
        }
    }

    fn read_answer(&mut self, with_body: bool) -> io::Result<Answer> {
        let head_length = self.receive_head()?;
        let head = String::from_utf8(self.received.drain(..head_length).collect())
            .expect("a head is text");
        let status = parse_status(&head);
        let length = match status {
            100..200 => 0,
            _ => parse_length(&head),
        };
        let body = if with_body { self.try_read_exactly(length)? } else { Vec::new() };
        Ok(Answer { status, head, body })
    }

    /// Reads exactly `count` bytes.
    #[track_caller]
    pub fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        self.try_read_exactly(count).expect("the server sends more")
    }

    /// Reads until the connection is over, ended or reset. Returns the number of bytes.
    pub fn read_until_over(&mut self) -> usize {
        let mut bytes = 0;
        while self.receive().is_ok_and(|received| received > 0) {
            bytes += std::mem::take(&mut self.received).len();
        }
        bytes
    }

    /// Reads a head and leaves its body unread. Returns the length of the body.
    #[track_caller]
    pub fn read_head(&mut self) -> usize {
        parse_length(&self.head())
    }

    /// Reads a head, which may tell no length, and leaves its body unread.
    #[track_caller]
    pub fn head(&mut self) -> String {
        let length = self.receive_head().expect("a head comes");
        let head: Vec<u8> = self.received.drain(..length).collect();
        String::from_utf8(head).expect("a head is text")
    }

    /// Checks that the server has closed its side in an orderly way and has sent nothing more.
    #[track_caller]
    pub fn assert_ended(&mut self) {
        let more = self.receive().expect("the end comes as an end, not as a reset");
        assert_eq!(more, 0, "{}", String::from_utf8_lossy(&self.received));
        assert!(self.received.is_empty(), "{}", String::from_utf8_lossy(&self.received));
    }

    /// Checks that the connection is over: ended, or reset.
    #[track_caller]
    pub fn assert_is_over(&mut self) {
        let result = self.receive();
        let over = match &result {
            Ok(bytes) => *bytes == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        assert!(over, "{result:?}");
    }

    /// Returns true if neither data nor the end of the connection comes within `time`.
    pub fn hears_nothing_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a timeout can be set");
        let result = self.receive();
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Returns true if bytes of a response have arrived, without taking them.
    pub fn has_answer(&self) -> bool {
        self.stream.set_nonblocking(true).expect("a socket can be made non-blocking");
        let result = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("and blocking again");
        match result {
            Ok(bytes) => bytes > 0,
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    io::ErrorKind::WouldBlock,
                    "instead of a response: {error}"
                );
                false
            }
        }
    }

    /// Returns true if the server has closed its end. The client's socket does not show that while
    /// there is unread data, so the kernel is asked for the server's socket.
    pub fn is_let_go(&self) -> bool {
        // A connection that was reset has no peer.
        let Ok(server) = self.stream.peer_addr() else { return true };
        let client = self.stream.local_addr().expect("a socket has an address");
        let state = sock_diag::state(server, client);
        state.expect("the kernel has socket diagnostics") != Some(TCP_ESTABLISHED)
    }

    /// Shuts down the sending side of the connection.
    pub fn shut_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Closes the connection with a reset rather than an end.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER can be set");
    }

    fn receive(&mut self) -> io::Result<usize> {
        // Zeroed by the allocator: `Vec::resize` of a debug build would take most of a test's time.
        let mut piece = vec![0; READ_BYTES];
        let received = loop {
            match self.stream.read(&mut piece) {
                // A signal that stops and continues this process interrupts calls that have a
                // timeout (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.received.extend_from_slice(&piece[..received]);
        Ok(received)
    }

    fn receive_more(&mut self) -> io::Result<()> {
        match self.receive()? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the end after {} bytes of a response", self.received.len()),
            )),
            _ => Ok(()),
        }
    }

    /// Receives until a whole head is there, and returns its length.
    fn receive_head(&mut self) -> io::Result<usize> {
        loop {
            if let Some(end) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                return Ok(end + 4);
            }
            self.receive_more()?;
        }
    }

    /// Reads exactly `count` bytes; returns an error if there are fewer.
    pub fn try_read_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < count {
            self.receive_more()?;
        }
        let rest = self.received.split_off(count);
        Ok(std::mem::replace(&mut self.received, rest))
    }
}

impl Answer {
    /// Returns the value of a header, which must be there at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// Returns true if the response says that the connection closes.
    pub fn closes(&self) -> bool {
        self.header("Connection") == Some("close")
    }
}

#[track_caller]
fn parse_status(head: &str) -> u16 {
    head.strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..4)?.trim_end().parse().ok())
        .unwrap_or_else(|| panic!("not the head of a response: {head:?}"))
}

#[track_caller]
fn parse_length(head: &str) -> usize {
    header(head, "Content-Length")
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no Content-Length in {head:?}"))
}

#[track_caller]
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut values = head
        .split("\r\n")
        .filter_map(|line| line.split_once(": "))
        .filter(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value);
    let value = values.next();
    assert_eq!(values.next(), None, "{name} is there twice in {head:?}");
    value
}
