//! A server whose response times are known: it responds at the times of its script, exact to the
//! microsecond, and records these times.
//!
//! The generator is calibrated against this server. It is one thread that never sleeps, so that
//! wake-ups by the kernel are not mistaken for errors of the generator. It speaks just enough HTTP
//! for requests without a body.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::cpus::CpuList;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Event key of the listener; the key of a connection is its index.
const LISTENER: u64 = u64::MAX;

/// Most events that are taken in one turn.
const EVENTS: usize = 256;

/// Size of the read buffer. Requests are small; one that does not fit into a read would be a bug in
/// this program.
const READ_BYTES: usize = 4096;

/// Times at which the responses are sent.
#[derive(Debug, Clone, Copy)]
pub enum Script {
    /// Each response is sent at once.
    Null,
    /// Each response is sent after a random time. The times are log-normally distributed around
    /// this median, with this standard deviation of the logarithm.
    Delays { median: Duration, sigma: f64, seed: u64 },
    /// Each response is sent at once, except in one stretch of time after the first request, in
    /// which nothing is answered until the stretch ends.
    Stall { after: Duration, length: Duration },
}

/// A running responder. Dropping it stops it.
#[derive(Debug)]
pub struct Responder {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Vec<u64>>>>,
}

impl Responder {
    /// Starts a responder on a free port, on the given processors.
    pub fn start(script: Script, cpus: Option<CpuList>) -> Result<Self> {
        // The backlog is large, because a calibration opens thousands of connections at once.
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(4096)?;
        let listener = TcpListener::from(socket);
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut state = State::new(listener, script)?;
        let flag = Arc::clone(&stop);
        let thread = thread::Builder::new().name("responder".into()).spawn(move || {
            if let Some(cpus) = cpus {
                cpus.pin()?;
            }
            let mut events = Vec::with_capacity(EVENTS);
            while !flag.load(Ordering::Relaxed) {
                state.turn(&mut events)?;
            }
            Ok(state.held)
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Returns the URL to request.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Stops the responder. Returns the time that it held back each response, in nanoseconds, in
    /// the order of the responses.
    pub fn finish(mut self) -> Result<Vec<u64>> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the responder was ended before")?;
        thread.join().map_err(|_| anyhow!("the responder panicked"))?
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct State {
    listener: TcpListener,
    epoll: OwnedFd,
    connections: Vec<TcpStream>,
    /// Responses that are due later: due time, time of the request, and index of the connection. If
    /// two are due at the same time, the earlier request is answered first.
    due: BinaryHeap<Reverse<(Instant, Instant, usize)>>,
    delays: Delays,
    held: Vec<u64>,
}

enum Delays {
    Null,
    Random(LogNormal<f64>, Box<ChaCha8Rng>),
    Stall { after: Duration, length: Duration, first: Option<Instant> },
}

impl Delays {
    fn new(script: Script) -> Result<Self> {
        Ok(match script {
            Script::Null => Self::Null,
            Script::Delays { median, sigma, seed } => Self::Random(
                LogNormal::new(median.as_secs_f64().ln(), sigma)?,
                Box::new(ChaCha8Rng::seed_from_u64(seed)),
            ),
            Script::Stall { after, length } => Self::Stall { after, length, first: None },
        })
    }

    fn due(&mut self, now: Instant) -> Instant {
        match self {
            Self::Null => now,
            Self::Random(distribution, random) => {
                now + Duration::from_secs_f64(distribution.sample(random))
            }
            Self::Stall { after, length, first } => {
                let begin = *first.get_or_insert(now) + *after;
                if (begin..begin + *length).contains(&now) { begin + *length } else { now }
            }
        }
    }
}

impl State {
    fn new(listener: TcpListener, script: Script) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        Ok(Self {
            listener,
            epoll,
            connections: Vec::new(),
            due: BinaryHeap::new(),
            delays: Delays::new(script)?,
            held: Vec::new(),
        })
    }

    /// Handles every event that is ready, without waiting.
    fn turn(&mut self, events: &mut Vec<epoll::Event>) -> Result<()> {
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&Timespec::default())) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => self.accept()?,
                index => self.receive(index as usize),
            }
            self.answer_due()?;
        }
        self.answer_due()
    }

    fn accept(&mut self) -> Result<()> {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let data = self.connections.len() as u64;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(data), flags)?;
        self.connections.push(stream);
        Ok(())
    }

    fn receive(&mut self, index: usize) {
        let mut buffer = [0; READ_BYTES];
        let read = self.connections[index].read(&mut buffer);
        // Anything else means that the connection has ended.
        if read.is_ok_and(|read| buffer[..read].ends_with(b"\r\n\r\n")) {
            let now = Instant::now();
            self.due.push(Reverse((self.delays.due(now), now, index)));
        }
    }

    fn answer_due(&mut self) -> Result<()> {
        while let Some(&Reverse((due, asked, index))) = self.due.peek() {
            if due > Instant::now() {
                break;
            }
            self.due.pop();
            // A client that is gone needs no response, and the time of a response that was not sent
            // is not recorded.
            if self.connections[index].write(RESPONSE).is_ok() {
                self.held.push(u64::try_from(asked.elapsed().as_nanos())?);
            }
        }
        Ok(())
    }
}
