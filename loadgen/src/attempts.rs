//! Attempts to get a response from each address of a name, before a run: staggered and in parallel,
//! as clients with Happy Eyeballs make them (RFC 8305, section 5).
//!
//! Such a client keeps the first connection and cancels the other attempts. Here, each address is
//! used if it can be, so an attempt goes on until its outcome is known. Only an address that does
//! not even accept a connection is given up early, once another address has answered: networks drop
//! packets to addresses that are no longer in use, and a run should not begin seconds later because
//! of them.
//!
//! One thread polls non-blocking sockets, and none of them outlives the call: an attempt that was
//! still under way in the measured part would reach the server there.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

/// Longest time between the beginnings of two attempts (Connection Attempt Delay of RFC 8305,
/// section 8), and the least time for an address to accept a connection.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Longest wait for events; times are checked as often.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Outcome of the attempt at an address.
#[derive(Debug)]
pub(crate) struct Tried {
    pub address: SocketAddr,
    /// True if it accepted a connection.
    pub accepted: bool,
    /// Error if no byte of a response came.
    pub response: io::Result<()>,
}

/// An attempt: a connection, on which a request is sent and the first byte of a response awaited.
#[derive(Debug)]
struct Attempt {
    address: SocketAddr,
    began: Instant,
    socket: Option<TcpStream>,
    /// Bytes of the request that were written; the connection is established as soon as there are
    /// any.
    written: usize,
    accepted: bool,
    /// Time until the first byte of a response, or the error in its place; `None` while the attempt
    /// is under way.
    response: Option<io::Result<Duration>>,
}

/// Sends the request to each of `addresses`, in their order. The next attempt begins when the one
/// before has a connection or has failed, and after [`ATTEMPT_DELAY`] at the latest. An attempt
/// takes no longer than `max_wait`.
pub(crate) fn try_each(addresses: &[SocketAddr], request: &[u8], max_wait: Duration) -> Vec<Tried> {
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut to_begin = addresses.iter();
    while to_begin.len() > 0 || attempts.iter().any(Attempt::is_under_way) {
        let now = Instant::now();
        for attempt in &mut attempts {
            attempt.go_on(request);
        }
        give_up(&mut attempts, now, max_wait);
        if attempts.last().is_none_or(|last| last.lets_next_begin(now))
            && let Some(&address) = to_begin.next()
        {
            attempts.push(Attempt::begin(address, now));
        } else {
            wait(&attempts, request);
        }
    }
    attempts.into_iter().map(Attempt::outcome).collect()
}

/// Ends the attempts whose time is over.
fn give_up(attempts: &mut [Attempt], now: Instant, max_wait: Duration) {
    let answers = attempts.iter().filter_map(|attempt| attempt.response.as_ref()?.as_ref().ok());
    // An address of the same server, reached over a path that is not much longer, has accepted a
    // connection after twice the time of a whole response.
    let patience = answers.min().map(|&took| ATTEMPT_DELAY.max(2 * took));
    for attempt in attempts.iter_mut().filter(|attempt| attempt.is_under_way()) {
        let is_dead = !attempt.accepted && patience.is_some_and(|most| now >= attempt.began + most);
        if is_dead || now >= attempt.began + max_wait {
            attempt.end(Err(ErrorKind::TimedOut.into()));
        }
    }
}

/// Waits until an attempt can go on, for 10 ms at most.
fn wait(attempts: &[Attempt], request: &[u8]) {
    let under_way = attempts.iter().filter_map(|attempt| {
        let unsent =
            if attempt.written < request.len() { PollFlags::OUT } else { PollFlags::empty() };
        Some(PollFd::new(attempt.socket.as_ref()?, PollFlags::IN | unsent))
    });
    // After an error, such as an interruption, the sockets are just looked at once more.
    let _ = poll(&mut under_way.collect::<Vec<_>>(), Some(&LOOK));
}

impl Attempt {
    /// Begins to connect, without waiting for the result.
    fn begin(address: SocketAddr, now: Instant) -> Self {
        let (socket, response) = match connect(address) {
            Ok(socket) => (Some(socket), None),
            Err(error) => (None, Some(Err(error))),
        };
        Self { address, began: now, socket, written: 0, accepted: false, response }
    }

    fn is_under_way(&self) -> bool {
        self.response.is_none()
    }

    /// Returns true if the attempt after this one may begin.
    fn lets_next_begin(&self, now: Instant) -> bool {
        self.accepted || !self.is_under_way() || now >= self.began + ATTEMPT_DELAY
    }

    /// Goes on as far as possible without waiting.
    fn go_on(&mut self, request: &[u8]) {
        match self.exchange(request) {
            Ok(()) => self.end(Ok(self.began.elapsed())),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => {
                // Only a connection that was made can be reset; another one is refused.
                self.accepted |=
                    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
                self.end(Err(error));
            }
        }
    }

    /// Sends the next part of the request and reads the first byte of the response, which may come
    /// before the server has taken the whole request.
    fn exchange(&mut self, request: &[u8]) -> io::Result<()> {
        let Some(socket) = &mut self.socket else { return Err(ErrorKind::WouldBlock.into()) };
        if self.written < request.len() {
            match socket.write(&request[self.written..]) {
                Ok(written) => {
                    self.accepted = true;
                    self.written += written;
                }
                Err(error) if self.accepted && error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        match socket.read(&mut [0])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn end(&mut self, response: io::Result<Duration>) {
        self.socket = None;
        self.response = Some(response);
    }

    fn outcome(self) -> Tried {
        let response = self.response.unwrap_or_else(|| Err(ErrorKind::TimedOut.into()));
        Tried { address: self.address, accepted: self.accepted, response: response.map(drop) }
    }
}

/// Begins to connect, without waiting for the result.
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        result => result?,
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Timeout that no test here waits for.
    const LONG: Duration = Duration::from_secs(20);

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    fn listener(ip: [u8; 4]) -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(SocketAddr::from((ip, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Returns an address that drops every SYN, because the queue of its listener is full, and the
    /// sockets that make it so.
    fn silent() -> (SocketAddr, Socket, TcpStream) {
        let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        full.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
        full.listen(0).unwrap();
        let address = full.local_addr().unwrap().as_socket().unwrap();
        (address, full, TcpStream::connect(address).unwrap())
    }

    /// Answers one connection, after `delay`.
    fn answer(listener: TcpListener, delay: Duration) -> thread::JoinHandle<()> {
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            client.read_exact(&mut [0; REQUEST.len()]).unwrap();
            thread::sleep(delay);
            client.write_all(b"HTTP/1.1 200 OK").unwrap();
        })
    }

    #[test]
    fn an_address_that_drops_everything_does_not_take_its_whole_timeout() {
        let (silent, _full, _waiting) = silent();
        let (listener, answering) = listener([127, 0, 0, 1]);
        let server = answer(listener, Duration::ZERO);
        let began = Instant::now();
        let tried = try_each(&[silent, answering], REQUEST, LONG);
        let took = began.elapsed();
        server.join().unwrap();
        assert!(tried[1].response.is_ok(), "{tried:?}");
        let error = tried[0].response.as_ref().unwrap_err();
        assert_eq!((error.kind(), tried[0].accepted), (ErrorKind::TimedOut, false));
        assert!((ATTEMPT_DELAY..LONG / 2).contains(&took), "{took:?}");
    }

    #[test]
    fn the_next_attempt_waits_for_the_delay_only_if_the_one_before_is_silent() {
        let began = Instant::now();
        let attempt = |accepted, response| Attempt {
            address: ([127, 0, 0, 1], 1).into(),
            began,
            socket: None,
            written: 0,
            accepted,
            response,
        };
        let silent = attempt(false, None);
        assert!(!silent.lets_next_begin(began + ATTEMPT_DELAY.mul_f64(0.99)));
        assert!(silent.lets_next_begin(began + ATTEMPT_DELAY));
        assert!(attempt(true, None).lets_next_begin(began));
        assert!(
            attempt(false, Some(Err(ErrorKind::ConnectionRefused.into()))).lets_next_begin(began)
        );
    }

    #[test]
    fn an_address_that_accepts_may_answer_much_later_than_another() {
        let (first, fast) = listener([127, 0, 0, 1]);
        let (second, slow) = listener([127, 0, 0, 2]);
        let servers = [answer(first, Duration::ZERO), answer(second, 2 * ATTEMPT_DELAY)];
        let tried = try_each(&[fast, slow], REQUEST, LONG);
        for server in servers {
            server.join().unwrap();
        }
        assert!(tried.iter().all(|tried| tried.response.is_ok()), "{tried:?}");
    }

    #[test]
    fn outcomes_are_in_the_order_of_the_addresses() {
        let (closing, first) = listener([127, 0, 0, 1]);
        let server = thread::spawn(move || {
            let (mut client, _) = closing.accept().unwrap();
            client.read_exact(&mut [0; REQUEST.len()]).unwrap();
        });
        // Bound but not listening, so that no other test can get its port.
        let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let refusing = bound.local_addr().unwrap().as_socket().unwrap();
        let tried = try_each(&[first, refusing], REQUEST, LONG);
        server.join().unwrap();
        let told = tried.iter().map(|tried| {
            (tried.address, tried.accepted, tried.response.as_ref().unwrap_err().kind())
        });
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (first, true, ErrorKind::UnexpectedEof),
                (refusing, false, ErrorKind::ConnectionRefused)
            ]
        );
    }
}
