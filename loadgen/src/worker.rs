//! One event loop on one thread: it opens its share of the connections, sends, receives, and keeps the time of it all.
//!
//! Edge-triggered epoll, each socket registered once for its whole life: a request costs one write and one read, and no
//! call changes what is waited for. An answer is followed at once by the next request, without a wait in between.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use slab::Slab;
use socket2::{Domain, Protocol, Socket, Type};

use crate::connection::{Connection, Head, KnownHead, Progress};
use crate::recorder::{Interval, Recorder};
use crate::run::{Message, Plan, nanos};
use crate::usage::ThreadUsage;
use crate::workload::{Lifetime, Until};

/// Room for one read; answers larger than that take several.
const READ_BYTES: usize = 64 * 1024;

/// Events taken per wait.
const EVENTS: usize = 512;

/// How often a worker looks up while nothing happens.
const TICK: Duration = Duration::from_millis(10);

/// How often it looks for requests without an answer, and so the error of a timeout.
const EXPIRE_EVERY: Duration = Duration::from_millis(50);

/// Connections of one worker that are being opened at the same time, so that a listen backlog is not flooded.
const MAX_CONNECTING: usize = 128;

/// Waits between tries to connect: the first one, doubled each time, up to the last one.
const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// Tries to connect, about 4 seconds of them, after which a run that waits for a number of requests gives a connection up.
const MAX_TRIES: u32 = 9;

/// How long a server may take to close a connection that it was asked to close, before the client does.
const LINGER: Duration = Duration::from_secs(1);

/// Added to the key of a connection that only waits to be closed.
const LINGERING: u64 = 1 << 63;

const SECOND_NS: u64 = 1_000_000_000;

/// What a worker has to say when the measured part is over.
#[derive(Debug)]
pub(crate) struct Ending {
    /// For each request without an answer: how long ago it should have been sent, in nanoseconds.
    pub in_flight_ages: Vec<u64>,
    pub established: u64,
    pub served: u64,
    pub opened_total: u64,
    /// Begin and end of the measured part, in nanoseconds of the clock.
    pub window: (u64, u64),
    /// When the last request of the measured part was done.
    pub last_done: u64,
    pub usage: ThreadUsage,
}

/// One of the connections that the workload calls for at once; over its life, many sockets may stand in it.
#[derive(Debug, Default)]
struct Slot {
    socket: Option<TcpStream>,
    state: State,
    answer: Connection,
    /// The request that is to be sent or is under way.
    job: Job,
    /// Requests that this socket may still carry.
    left: u64,
    /// When `connect` was called, how long it took, and whether a recorded request has told of it.
    connect_began: u64,
    connect_took: Option<u64>,
    /// Failed tries to connect in a row.
    failures: u32,
    was_established: bool,
    was_served: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Has a request to send and no connection; waits for its turn to make one.
    #[default]
    Closed,
    Connecting,
    /// Waits for an answer.
    Waiting,
    /// Has nothing to send any more.
    Done,
}

/// A request from the moment at which it should be sent.
#[derive(Debug, Default, Clone, Copy)]
struct Job {
    intended: u64,
    sent: u64,
    first_byte: Option<u64>,
    /// Octets of it that were written.
    written: usize,
    /// Whether it has a ticket of the measured part.
    has_ticket: bool,
}

/// How a request may fail.
#[derive(Debug, Clone, Copy)]
enum Failure {
    Reset,
    Timeout,
    Protocol,
}

pub(crate) struct Worker {
    plan: Arc<Plan>,
    messages: Sender<Message>,
    /// The octets of a request, and of one that asks to close behind it.
    request: Vec<u8>,
    last_request: Vec<u8>,
    epoll: OwnedFd,
    slots: Vec<Slot>,
    /// Slots in [`State::Closed`]: those whose turn it is, and those that wait until a time for another try.
    to_open: VecDeque<usize>,
    to_retry: Vec<(u64, usize)>,
    connecting: usize,
    lingering: Slab<(TcpStream, u64)>,
    /// Whose turn it is among the target's addresses.
    next_address: usize,
    known_head: KnownHead,
    recorder: Recorder,
    opened_total: u64,
    window: (u64, u64),
    /// The second of the measured part that is being recorded, and when it ends; at first, when the part begins.
    second: u64,
    next_boundary: u64,
    usage_at_begin: Option<ThreadUsage>,
    last_done: u64,
    is_ready: bool,
    /// Whether requests are HEAD, whose answers have no body.
    is_head: bool,
}

impl Worker {
    pub fn new(plan: Arc<Plan>, index: usize, workers: usize, messages: Sender<Message>) -> io::Result<Self> {
        let workload = &plan.workload;
        // Dealt out evenly; the first workers take what is left over.
        let share = workload.connections / workers + usize::from(index < workload.connections % workers);
        let (request, last_request) =
            (plan.target.render(&workload.request, false), plan.target.render(&workload.request, true));
        Ok(Self {
            request,
            last_request,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            slots: (0..share).map(|_| Slot::default()).collect(),
            to_open: VecDeque::new(),
            to_retry: Vec::new(),
            connecting: 0,
            lingering: Slab::new(),
            next_address: index,
            known_head: KnownHead::default(),
            recorder: Recorder::default(),
            opened_total: 0,
            window: (u64::MAX, u64::MAX),
            second: 0,
            next_boundary: u64::MAX,
            usage_at_begin: None,
            last_done: 0,
            is_ready: false,
            is_head: workload.request.method == "HEAD",
            messages,
            plan,
        })
    }

    /// Runs to the end of the measured part, then holds the connections until `release` is disconnected.
    pub fn run(mut self, release: &Receiver<()>) {
        let (mut buffer, mut events) = (vec![0; READ_BYTES], Vec::with_capacity(EVENTS));
        let (mut next_tick, mut next_expire) = (0, 0);
        let mut now = self.plan.clock.now();
        for key in 0..self.slots.len() {
            self.next(key, now);
        }
        while now < self.window.1 && !self.is_over() {
            if now >= next_tick {
                next_tick = now + nanos(TICK);
                self.tick(now);
            }
            if now >= next_expire {
                next_expire = now + nanos(EXPIRE_EVERY);
                self.expire(now);
            }
            self.open_due(now);
            self.wait(&mut events);
            for event in events.drain(..) {
                self.on_event(event, &mut buffer);
            }
            now = self.plan.clock.now();
        }
        let ending = self.end(now.min(self.window.1));
        let _ = self.messages.send(Message::Ended(Box::new(ending)));
        let _ = release.recv();
    }

    fn wait(&self, events: &mut Vec<epoll::Event>) {
        let tick = Timespec { tv_sec: 0, tv_nsec: nanos(TICK).cast_signed() };
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&tick)) {
            Ok(_) | Err(Errno::INTR) => {}
            // The descriptor and the buffer are ours; nothing else can be wrong with the call (epoll_wait(2)).
            Err(error) => panic!("epoll_wait: {error}"),
        }
    }

    /// Whether all requests that were to be sent have their answers, or the user has had enough.
    fn is_over(&self) -> bool {
        let finished = |slot: &Slot| slot.state == State::Done || slot.failures >= MAX_TRIES;
        let counts_requests = matches!(self.plan.workload.until, Until::Requests(_));
        self.plan.is_stopped() || (counts_requests && self.slots.iter().all(finished))
    }

    /// What has to be looked at now and then, whether anything happens or not.
    fn tick(&mut self, now: u64) {
        if !self.is_ready && self.slots.iter().all(|slot| slot.was_established || slot.failures > 0) {
            self.is_ready = true;
            self.plan.worker_is_ready(now);
        }
        if self.window.0 == u64::MAX || self.window.1 == u64::MAX {
            self.window = self.plan.window();
            if self.usage_at_begin.is_none() {
                self.next_boundary = self.window.0;
            }
        }
        self.cross_boundaries(now);
        self.retry(now);
    }

    /// Begins to record when the time has come, and hands over whole seconds.
    fn cross_boundaries(&mut self, now: u64) {
        if now < self.next_boundary {
            return;
        }
        if self.usage_at_begin.is_none() {
            self.usage_at_begin = Some(ThreadUsage::now());
            self.recorder = Recorder::default();
            let _ = self.messages.send(Message::Begun);
            self.next_boundary += SECOND_NS;
        }
        while now >= self.next_boundary {
            self.hand_over(SECOND_NS);
            self.next_boundary += SECOND_NS;
        }
    }

    fn hand_over(&mut self, length_ns: u64) {
        let seen = Box::new(std::mem::take(&mut self.recorder));
        let interval = Interval { number: self.second, length: Duration::from_nanos(length_ns), seen };
        let _ = self.messages.send(Message::Interval(interval));
        self.second += 1;
    }

    /// Gives up requests, connects and closes that take too long. One pass over the active connections.
    fn expire(&mut self, now: u64) {
        let timeout = nanos(self.plan.workload.timeout);
        for key in 0..self.slots.len() {
            let slot = &self.slots[key];
            match slot.state {
                State::Waiting if now >= slot.job.sent + timeout => self.fail(key, Failure::Timeout, now),
                State::Connecting if now >= slot.connect_began + timeout => self.connect_failed(key, now),
                _ => {}
            }
        }
        self.lingering.retain(|_, (_, since)| now < *since + nanos(LINGER));
    }

    /// Lets those connect again that have waited long enough.
    fn retry(&mut self, now: u64) {
        self.to_retry.retain(|&(until, key)| {
            if until <= now {
                self.to_open.push_back(key);
            }
            until > now
        });
    }

    /// Gives a slot that is free its next request, and sends it as soon as there is a connection.
    fn next(&mut self, key: usize, now: u64) {
        let measured = now >= self.window.0;
        let over = now >= self.window.1 || (measured && !self.plan.take_ticket());
        let slot = &mut self.slots[key];
        if over {
            slot.state = State::Done;
            return;
        }
        slot.job = Job { intended: now, has_ticket: measured, ..Job::default() };
        if slot.socket.is_some() {
            self.send(key, now);
        } else {
            slot.state = State::Closed;
            self.to_open.push_back(key);
        }
    }

    /// Opens connections whose turn has come. Only the first ones are held back: later, the generator should keep nobody
    /// waiting.
    fn open_due(&mut self, now: u64) {
        while self.is_ready || self.connecting < MAX_CONNECTING {
            let Some(key) = self.to_open.pop_front() else {
                return;
            };
            self.open(key, now);
        }
    }

    fn open(&mut self, key: usize, now: u64) {
        let addresses = &self.plan.target.addresses;
        self.next_address = (self.next_address + 1) % addresses.len();
        let socket = connect(addresses[self.next_address]).and_then(|socket| {
            use epoll::EventFlags as Flags;
            let data = epoll::EventData::new_u64(key as u64);
            epoll::add(&self.epoll, &socket, data, Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET)?;
            Ok(socket)
        });
        let slot = &mut self.slots[key];
        slot.state = State::Connecting;
        slot.connect_began = now;
        slot.connect_took = None;
        slot.answer = Connection::default();
        slot.left = match self.plan.workload.lifetime {
            Lifetime::Persistent => u64::MAX,
            Lifetime::Requests(requests) => u64::from(requests.get()),
        };
        slot.socket = socket.ok();
        self.connecting += 1;
        if self.slots[key].socket.is_none() {
            return self.connect_failed(key, now);
        }
        // On loopback the handshake is over by now and this goes through; elsewhere an event will follow.
        self.send(key, self.plan.clock.now());
    }

    fn connect_failed(&mut self, key: usize, now: u64) {
        let slot = &mut self.slots[key];
        slot.socket = None;
        slot.state = State::Closed;
        slot.failures += 1;
        self.connecting -= 1;
        self.recorder.errors.connect += 1;
        let wait = FIRST_RETRY.saturating_mul(1 << (slot.failures - 1).min(16)).min(LAST_RETRY);
        self.to_retry.push((now + nanos(wait), key));
    }

    /// Sends the slot's request, or what is left of it.
    fn send(&mut self, key: usize, now: u64) {
        let slot = &mut self.slots[key];
        let request = if slot.left == 1 { &self.last_request } else { &self.request };
        let Some(socket) = &mut slot.socket else { return };
        let written = match socket.write(&request[slot.job.written..]) {
            Ok(written) => written,
            // Not connected yet, or the socket's buffer is full: an event will follow.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) if slot.state == State::Connecting => return self.connect_failed(key, now),
            Err(_) => {
                slot.state = State::Waiting;
                slot.job.sent = now;
                return self.fail(key, Failure::Reset, now);
            }
        };
        if slot.state == State::Connecting {
            if written == 0 {
                return;
            }
            slot.connect_took = Some(now - slot.connect_began);
            slot.was_established = true;
            slot.failures = 0;
            self.connecting -= 1;
            self.opened_total += 1;
        }
        if slot.job.written == 0 {
            slot.job.sent = now;
        }
        slot.state = State::Waiting;
        slot.job.written += written;
        self.recorder.bytes.written += written as u64;
    }

    fn on_event(&mut self, event: epoll::Event, buffer: &mut [u8]) {
        use epoll::EventFlags as Flags;
        let (data, flags) = (event.data.u64(), event.flags);
        if data & LINGERING != 0 {
            // The server has closed, or talks on where it should have.
            let _ = self.lingering.try_remove((data & !LINGERING) as usize);
            return;
        }
        let key = data as usize;
        let slot = &mut self.slots[key];
        let request_goes_on = slot.state == State::Waiting && slot.job.written < self.request_length(key);
        match self.slots[key].state {
            State::Connecting if flags.intersects(Flags::ERR | Flags::HUP) => {
                self.connect_failed(key, self.plan.clock.now());
            }
            State::Connecting => self.send(key, self.plan.clock.now()),
            State::Waiting => {
                if request_goes_on && flags.contains(Flags::OUT) {
                    self.send(key, self.plan.clock.now());
                }
                if flags.intersects(Flags::IN | Flags::RDHUP | Flags::HUP | Flags::ERR) {
                    self.receive(key, flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR), buffer);
                }
            }
            State::Closed | State::Done => {}
        }
    }

    fn request_length(&self, key: usize) -> usize {
        if self.slots[key].left == 1 { self.last_request.len() } else { self.request.len() }
    }

    /// Reads until the answer is whole or the socket is empty. `ending` tells that the server has closed its side, so that
    /// the end is there to be read.
    fn receive(&mut self, key: usize, ending: bool, buffer: &mut [u8]) {
        let to_head = self.is_head;
        loop {
            let slot = &mut self.slots[key];
            let Some(socket) = &mut slot.socket else { return };
            let read = match socket.read(buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.fail(key, Failure::Reset, self.plan.clock.now()),
            };
            let now = self.plan.clock.now();
            if read == 0 {
                return match slot.answer.receive_end() {
                    Some(head) => self.answered(key, head, true, now),
                    None => self.fail(key, Failure::Reset, now),
                };
            }
            self.recorder.bytes.read += read as u64;
            slot.job.first_byte.get_or_insert(now);
            match slot.answer.receive(&buffer[..read], to_head, &mut self.known_head) {
                Ok(Progress::Whole { head, consumed }) if consumed == read => {
                    return self.answered(key, head, ending, now);
                }
                // Edge-triggered: a short read has emptied the socket, and an event will follow.
                Ok(Progress::Partial) if read < buffer.len() && !ending => return,
                Ok(Progress::Partial) => {}
                // Octets that nobody asked for: whatever the length was, it was wrong.
                Ok(Progress::Whole { .. }) | Err(_) => return self.fail(key, Failure::Protocol, now),
            }
        }
    }

    fn answered(&mut self, key: usize, head: Head, server_closed: bool, now: u64) {
        self.cross_boundaries(now);
        let slot = &mut self.slots[key];
        if self.plan.is_counted(slot.job.has_ticket, now, self.window) {
            self.last_done = now;
            slot.was_served = true;
            if head.status < 400 {
                let Job { intended, sent, first_byte, .. } = slot.job;
                self.recorder.record(
                    intended,
                    sent,
                    first_byte.unwrap_or(now),
                    now,
                    slot.connect_took.take(),
                );
            } else {
                self.recorder.errors.status += 1;
            }
        }
        slot.left -= 1;
        let asked_to_close = slot.left == 0 || !head.keep_alive;
        if server_closed {
            slot.socket = None;
        } else if asked_to_close {
            self.linger(key, now);
        }
        self.next(key, now);
    }

    /// Leaves it to the server to close first, as it was asked: whoever closes first keeps the port in `TIME_WAIT`, and
    /// the client has to be economical with ports.
    fn linger(&mut self, key: usize, now: u64) {
        let Some(socket) = self.slots[key].socket.take() else {
            return;
        };
        let entry = self.lingering.vacant_entry();
        let data = epoll::EventData::new_u64(entry.key() as u64 | LINGERING);
        if epoll::modify(&self.epoll, &socket, data, epoll::EventFlags::RDHUP | epoll::EventFlags::ET).is_ok()
        {
            entry.insert((socket, now));
        }
    }

    fn fail(&mut self, key: usize, failure: Failure, now: u64) {
        self.cross_boundaries(now);
        let slot = &mut self.slots[key];
        slot.socket = None;
        if self.plan.is_counted(slot.job.has_ticket, now, self.window) {
            self.last_done = now;
            let errors = &mut self.recorder.errors;
            match failure {
                Failure::Reset => errors.reset += 1,
                Failure::Timeout => errors.timeout += 1,
                Failure::Protocol => errors.protocol += 1,
            }
        }
        self.next(key, now);
    }

    fn end(&mut self, now: u64) -> Ending {
        if self.usage_at_begin.is_some() {
            self.cross_boundaries(now);
            self.hand_over(now.saturating_sub(self.window.0 + self.second * SECOND_NS));
        }
        let usage =
            self.usage_at_begin.map_or_else(ThreadUsage::default, |begin| ThreadUsage::now().since(begin));
        let counted =
            |slot: &&Slot| slot.state == State::Waiting && self.plan.counts_in_flight(slot.job.has_ticket);
        Ending {
            in_flight_ages: self
                .slots
                .iter()
                .filter(counted)
                .map(|slot| now.saturating_sub(slot.job.intended))
                .collect(),
            established: self.slots.iter().filter(|slot| slot.was_established).count() as u64,
            served: self.slots.iter().filter(|slot| slot.was_served).count() as u64,
            opened_total: self.opened_total,
            window: (self.window.0, now),
            last_done: self.last_done,
            usage,
        }
    }
}

/// Begins to connect, without waiting for the end of it.
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}
