//! One event loop on one thread: it opens its share of the connections, sends, receives, and keeps the time of it all.
//!
//! Edge-triggered epoll, each socket registered once for its whole life: a request costs one write and one read, and no
//! call changes what is waited for. An answer is followed at once by the next request, without a wait in between.

mod connect;
mod exchange;
mod idle;
mod pace;
mod timer;

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::thread::set_current_timer_slack;
use slab::Slab;

use crate::connection::{Connection, KnownHead};
use crate::measurement::GeneratorLimits;
use crate::recorder::{Age, Interval, Recorder};
use crate::run::{Message, Plan, nanos, share};
use crate::schedule::Schedule;
use crate::silence::Pauses;
use crate::source::Sources;
use crate::usage::{ThreadUsage, cpu_wait};
use crate::workload::{Pacing, Until};

use self::timer::Timer;

/// Room for one read; answers larger than that take several.
const READ_BYTES: usize = 64 * 1024;

/// Events taken per wait.
const EVENTS: usize = 512;

/// How often a worker looks up while nothing happens.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Requests that wait in a worker's line at the most, 1 MiB of them. Those that are due beyond stay
/// in the schedule, which gives their times when it is their turn, or the run ends.
const MAX_LINE: usize = 1 << 17;

/// Requests that a worker comes to before it looks at answers, at the clock, and for an end: a rate
/// may be higher than what it can count.
const MAX_DISPATCHED: usize = 1024;

/// How often it looks for requests without an answer, and so the error of a timeout.
const EXPIRE_EVERY: Duration = Duration::from_millis(50);

/// How long a server is looked for before the run is given up: one that is just being started takes
/// no longer.
pub(crate) const FIRST_CONNECTION: Duration = Duration::from_secs(1);

/// How often it is looked whether the other workers' idle connections stand.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(1);

/// Tries to connect, about 4 seconds of them, after which a run that waits for a number of requests gives a connection up.
const MAX_TRIES: u32 = 9;

/// How long a further first answer is waited for, once every connection stands, before the warm-up
/// begins all the same: a server may have no worker for the others, ever. Nothing else is asked
/// meanwhile, so that whatever a server has to start for a connection, it has all the time for it.
pub(crate) const NEXT_FIRST_ANSWER: Duration = Duration::from_secs(1);

/// How long the first answers are waited for in all: what starts up one by one must not take longer
/// than the measurement.
const FIRST_ANSWERS: Duration = Duration::from_secs(5);

/// Added to the key of a connection that only waits to be closed.
const LINGERING: u64 = 1 << 63;

/// How long an open loop waits for the answers to its last requests.
const GRACE: Duration = Duration::from_secs(1);

/// What a worker has to say when the measured part is over.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Of each request without an answer.
    pub in_flight_ages: Vec<Age>,
    /// Of each that was due and could not be sent.
    pub unsent_ages: Vec<Age>,
    pub established: u64,
    pub served: u64,
    pub starved: u64,
    pub never_asked: u64,
    /// Connections without an answer when the measured part began, and of those the ones that had
    /// one in it.
    pub unserved_at_begin: u64,
    pub served_later: u64,
    pub opened_total: u64,
    /// Begin and end of the measured part, in nanoseconds of the clock.
    pub window: (u64, u64),
    /// Requests of the measured part that a schedule called for.
    pub scheduled: u64,
    /// Requests answered well, per connection that the workload calls for.
    pub answers: Vec<u64>,
    pub arrivals: Vec<u64>,
    pub idle_established: u64,
    pub idle_answered: u64,
    pub limits: GeneratorLimits,
    /// Why the last connection that could not be made could not.
    pub connect_error: Option<io::Error>,
    /// When the last request of the measured part was done.
    pub last_done: u64,
    pub pauses: Pauses,
    /// Time of the measured part in which it had nothing to do but wait.
    pub idle: Duration,
    pub usage: ThreadUsage,
    /// How long it was ready to run and had no processor.
    pub cpu_wait: Option<Duration>,
}

impl Ending {
    /// Of all requests of the measured part without an answer, sent or not.
    pub fn ages(&self) -> impl Iterator<Item = &Age> {
        self.in_flight_ages.iter().chain(&self.unsent_ages)
    }
}

/// One of the connections that the workload calls for at once; over its life, many sockets may stand in it.
#[derive(Debug, Default)]
struct Slot {
    socket: Option<TcpStream>,
    state: State,
    answer: Connection,
    /// The request that is to be sent or is under way.
    job: Option<Job>,
    /// Index of its address among those of the target.
    address: usize,
    /// Requests that this socket may still carry.
    left: u64,
    /// When `connect` was called, how long it took, and whether a recorded request has told of it.
    connect_began: u64,
    connect_took: Option<u64>,
    /// Failed tries to connect in a row.
    failures: u32,
    was_established: bool,
    was_answered: bool,
    /// Requests of the measured part that were given to it, and the one that was under way when the
    /// part began, where that counts.
    asked: u64,
    /// Whether it had no answer yet when the measured part began.
    is_late: bool,
    /// Answers in the measured part, and how many of them were good.
    answers: u64,
    good_answers: u64,
}

impl Slot {
    /// True where the measured part had no request for it.
    fn is_never_asked(&self) -> bool {
        self.asked == 0 && self.job.is_none() && self.failures == 0
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Has a request to send and no connection; waits for its turn to make one.
    #[default]
    Closed,
    Connecting,
    /// Waits for an answer.
    Waiting,
    /// Waits for the schedule of an open loop; it has a connection, or makes one when it is asked.
    Free,
    /// Has had its first answer and asks no more until the warm-up begins.
    Held,
    /// Has nothing to send any more.
    Done,
}

/// A request from the moment at which it should be sent.
#[derive(Debug, Default, Clone, Copy)]
struct Job {
    intended: u64,
    sent: u64,
    first_byte: Option<u64>,
    /// Bytes of it that were written.
    written: usize,
    /// Whether it was begun within the measured part, and has a ticket of it.
    has_ticket: bool,
    /// Whether it has a connection, or only has to make one, so that nothing but the generator delays it; and how late that
    /// was is not recorded yet.
    lag_is_open: bool,
    /// Since when it lacks nothing but a connection, until one is begun for it; and how long that
    /// took.
    lacks_connection_since: Option<u64>,
    connect_wait: Option<u64>,
}

impl Job {
    /// How long it has waited by `now`.
    fn age(&self, now: u64) -> Age {
        let latency = now.saturating_sub(self.intended);
        let waits = self.lacks_connection_since.map(|since| now.saturating_sub(since));
        let response = latency.saturating_sub(waits.or(self.connect_wait).unwrap_or(0));
        Age { latency, response, count: 1 }
    }
}

/// How many connections have had an answer, since when there was no further one, and until when
/// they are waited for.
#[derive(Debug)]
struct Patience {
    answered: usize,
    since: u64,
    until: u64,
}

pub(crate) struct Worker {
    plan: Arc<Plan>,
    messages: Sender<Message>,
    /// The bytes of a request, and of the last one of a connection.
    request: Vec<u8>,
    last_request: Vec<u8>,
    epoll: OwnedFd,
    timer: Timer,
    slots: Vec<Slot>,
    /// Slots in [`State::Closed`]: those whose turn it is, and those that wait until a time for another try.
    to_open: VecDeque<usize>,
    to_retry: Vec<(u64, usize)>,
    connecting: usize,
    lingering: Slab<(TcpStream, u64)>,
    /// Whose turn it is among the target's addresses.
    next_address: usize,
    sources: Sources,
    known_head: KnownHead,
    recorder: Recorder,
    /// Empty, made before the measured part begins: making one takes a hundred microseconds, in which
    /// an open loop would be late for its first request.
    fresh: Option<Box<Recorder>>,
    /// The warm-up's recordings: giving their memory back can wait, too.
    forgotten: Option<Box<Recorder>>,
    opened_total: u64,
    window: (u64, u64),
    /// Length of the stretches that are handed over, in nanoseconds.
    interval_ns: u64,
    /// The stretch of the measured part that is being recorded, and when it ends; at first, when
    /// the part begins.
    stretch: u64,
    next_boundary: u64,
    usage_at_begin: Option<ThreadUsage>,
    /// Wait for a processor up to the last tick before the measured part.
    cpu_wait_before: Option<Duration>,
    /// What tells an open loop when to send: the schedule, and the next time of it on the clock, once that is known.
    schedule: Option<Schedule>,
    next_due: u64,
    /// Intended times of requests that are due and wait for a connection, [`MAX_LINE`] at most, and
    /// slots that wait for a request.
    line: VecDeque<u64>,
    free: VecDeque<usize>,
    scheduled: u64,
    arrivals: Vec<u64>,
    /// Of requests that ended after the measured part: how old they were at its end.
    late_ages: Vec<Age>,
    /// Connections that are only held, and how many of them were answered before.
    idle: Vec<TcpStream>,
    idle_answered: u64,
    /// When the first connection that could not be made was tried, what of that was for want of
    /// something here, and why the last one could not.
    first_failed_try: u64,
    limits: GeneratorLimits,
    connect_error: Option<io::Error>,
    /// When the next connection may be opened, and how long after it the one behind.
    next_open: u64,
    open_every: u64,
    last_done: u64,
    pauses: Pauses,
    /// Nanoseconds of the measured part without anything to do.
    idle_ns: u64,
    is_ready: bool,
    /// What the first answers are waited for by, once every connection stands.
    patience: Option<Patience>,
    /// Whether the warm-up has begun, or what is measured where there is none.
    has_started: bool,
    /// Whether requests are HEAD, whose answers have no body.
    is_head: bool,
}

impl Worker {
    pub fn new(plan: Arc<Plan>, index: usize, workers: usize, messages: Sender<Message>) -> io::Result<Self> {
        let workload = &plan.workload;
        let share = share(workload.connections, index, workers);
        let request = plan.target.render(&workload.request, false);
        let last_request = plan.target.render(&workload.request, workload.asks_to_close());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self {
            request,
            last_request,
            timer: Timer::new(&epoll)?,
            epoll,
            slots: (0..share).map(|_| Slot::default()).collect(),
            to_open: VecDeque::new(),
            to_retry: Vec::new(),
            connecting: 0,
            lingering: Slab::new(),
            next_address: index,
            sources: Sources::new(&plan.target.addresses, workload.connections + workload.idle),
            known_head: KnownHead::default(),
            recorder: Recorder::default(),
            fresh: Some(Box::default()),
            forgotten: None,
            opened_total: 0,
            window: (u64::MAX, u64::MAX),
            interval_ns: nanos(workload.interval).max(1),
            stretch: 0,
            next_boundary: u64::MAX,
            usage_at_begin: None,
            cpu_wait_before: None,
            schedule: match workload.pacing {
                Pacing::Closed => None,
                Pacing::Open { rate, arrivals, seed, .. } => {
                    Some(Schedule::new(rate, arrivals, seed, index, workers))
                }
            },
            next_due: u64::MAX,
            line: VecDeque::new(),
            free: VecDeque::new(),
            scheduled: 0,
            arrivals: Vec::new(),
            late_ages: Vec::new(),
            idle: Vec::new(),
            idle_answered: 0,
            first_failed_try: u64::MAX,
            limits: GeneratorLimits::default(),
            connect_error: None,
            next_open: 0,
            open_every: workload.connect_rate.map_or(0, |rate| (1e9 / rate * workers as f64) as u64),
            last_done: 0,
            pauses: Pauses::default(),
            idle_ns: 0,
            is_ready: false,
            patience: None,
            has_started: false,
            is_head: workload.request.method == "HEAD",
            messages,
            plan,
        })
    }

    /// Runs to the end of the measured part, then holds the connections until `release` is disconnected.
    pub fn run(mut self, idle: usize, release: &Receiver<()>) {
        let (mut buffer, mut events) = (vec![0; READ_BYTES], Vec::with_capacity(EVENTS));
        let (mut next_tick, mut next_expire) = (0, 0);
        // Without it the kernel wakes a sleeper up to 50 µs late, to save wake-ups.
        let _ = set_current_timer_slack(NonZero::new(1));
        self.open_idle(idle, &mut buffer, &mut events);
        self.await_others();
        let mut now = self.plan.clock.now();
        self.pauses.note_awake(now);
        self.tick(now);
        for key in 0..self.slots.len() {
            self.next(key, now);
        }
        while !self.is_over(now) {
            // First, so that nothing that can wait makes a request late.
            let dispatched = self.dispatch_due();
            if now >= next_tick {
                next_tick = now + nanos(TICK);
                self.tick(now);
            }
            self.open_due(now);
            let slept = self.wait(&mut events);
            let took_all = events.len() < EVENTS;
            let is_idle = events.is_empty() && dispatched == 0;
            for event in events.drain(..) {
                self.on_event(event, &mut buffer);
            }
            // Once what had come by `now` was taken: a worker that was late itself finds no server too slow for it.
            if took_all && now >= next_expire {
                next_expire = now + nanos(EXPIRE_EVERY);
                self.expire(now);
            }
            let began = std::mem::replace(&mut now, self.plan.clock.now());
            self.pauses.note_awake(now);
            if (self.window.0..self.window.1).contains(&began) {
                self.idle_ns += if is_idle { now - began } else { slept };
            }
        }
        let ending = self.end(now);
        let _ = self.messages.send(Message::Ended(Box::new(ending)));
        // The listener then sees the end of the last worker, even if another one panicked.
        drop(self.messages);
        let _ = release.recv();
    }

    /// Waits until the idle connections of all workers stand, so that no request is sent while
    /// others are opened.
    fn await_others(&self) {
        self.plan.worker_has_idle(self.plan.clock.now());
        while !self.plan.may_send() && !self.plan.is_stopped() {
            thread::sleep(LOOK_FOR_OTHERS);
        }
    }

    /// Sleeps until there is an event or something to be done. An open loop sleeps until shortly before its next send and
    /// then only looks, again and again. Gives the time that an open loop slept.
    fn wait(&mut self, events: &mut Vec<epoll::Event>) -> u64 {
        let Pacing::Open { spin, .. } = self.plan.workload.pacing else {
            self.wait_for(TICK, events);
            return 0;
        };
        let now = self.plan.clock.now();
        let wake_at = self.next_wake().saturating_sub(nanos(spin));
        if wake_at <= now {
            self.wait_for(Duration::ZERO, events);
            return 0;
        }
        if wake_at < now + nanos(TICK) {
            self.timer.arm(wake_at, now);
        }
        self.wait_for(TICK, events);
        self.plan.clock.now() - now
    }

    /// When the schedule calls next. Where the line is full, the next answer makes way first.
    fn next_wake(&self) -> u64 {
        if self.line.len() < MAX_LINE { self.next_due } else { u64::MAX }
    }

    /// Takes the events that there are, or that come within `timeout`, which is whole milliseconds:
    /// no kernel refuses that call, and the timer is exact.
    fn wait_for(&self, timeout: Duration, events: &mut Vec<epoll::Event>) {
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() };
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            // The descriptor and the buffer are ours; nothing else can be wrong with the call (epoll_wait(2)).
            Err(error) => panic!("epoll_wait: {error}"),
        }
    }

    /// Whether the measured part is over: its time, or its requests, or the user's patience.
    fn is_over(&self, now: u64) -> bool {
        if self.plan.is_stopped() {
            return true;
        }
        let is_open = self.schedule.is_some();
        match self.plan.workload.until {
            // An open loop gives the answers to its last requests some time to come.
            Until::Elapsed(_) if is_open && now < self.window.1.saturating_add(nanos(GRACE)) => {
                now >= self.window.1
                    && self.next_due >= self.window.1
                    && self.line.is_empty()
                    && !self.slots.iter().any(|slot| slot.job.is_some())
            }
            Until::Elapsed(_) => now >= self.window.1,
            Until::Requests(_) => {
                let gave_up = |slot: &Slot| slot.failures >= MAX_TRIES;
                let finished = |slot: &Slot| match slot.state {
                    State::Done => true,
                    State::Free => self.next_due == u64::MAX && self.is_ready && self.window.0 <= now,
                    _ => gave_up(slot),
                };
                self.slots.iter().all(finished) && (self.line.is_empty() || self.slots.iter().all(gave_up))
            }
        }
    }

    /// What has to be looked at now and then, whether anything happens or not.
    fn tick(&mut self, now: u64) {
        if !self.plan.is_server_reached() {
            self.look_for_server(now);
        }
        if !self.is_ready && self.has_begun_serving(now) {
            self.is_ready = true;
            self.plan.worker_is_ready(now);
        }
        if self.window.0 == u64::MAX || self.window.1 == u64::MAX {
            self.window = self.plan.window();
            if self.usage_at_begin.is_none() {
                self.next_boundary = self.window.0;
            }
            if self.window.0 != u64::MAX && !self.has_started {
                self.has_started = true;
                self.next_due = self.due();
                self.release(now);
            }
        }
        if now < self.window.0 {
            // Not when the part begins: a worker may have no processor then, and until its end.
            self.cpu_wait_before = cpu_wait();
        }
        self.cross_boundaries(now);
        self.retry(now);
    }

    /// Looks whether any connection of the run has stood, and ends the run where none could be made
    /// for a while: there will be nothing to measure.
    fn look_for_server(&mut self, now: u64) {
        if self.opened_total > 0 {
            self.plan.server_was_reached();
        } else if now >= self.first_failed_try.saturating_add(nanos(FIRST_CONNECTION)) {
            self.plan.abandon();
        }
    }

    /// Whether every connection was answered, or could not be made. A connection that only waits to be accepted stands
    /// too, so what stands is given some time to be served, and no more: a server may have no worker for it, ever.
    fn has_begun_serving(&mut self, now: u64) -> bool {
        // Before any connection stands, nothing can be measured.
        if !self.plan.is_server_reached() && self.first_failed_try != u64::MAX {
            return false;
        }
        let has_tried = |slot: &Slot| slot.was_established || slot.failures > 0 || slot.state == State::Free;
        if !self.slots.iter().all(has_tried) {
            return false;
        }
        let has_news = |slot: &&Slot| slot.was_answered || slot.failures > 0 || slot.state == State::Free;
        let answered = self.slots.iter().filter(has_news).count();
        answered == self.slots.len() || self.is_out_of_patience(answered, now)
    }

    /// Whether no further connection has had its first answer for too long, or all of them took too
    /// long.
    fn is_out_of_patience(&mut self, answered: usize, now: u64) -> bool {
        let until = now + nanos(FIRST_ANSWERS);
        let patience = self.patience.get_or_insert(Patience { answered, since: now, until });
        if answered > patience.answered {
            *patience = Patience { answered, since: now, ..*patience };
        }
        now >= patience.until || now >= patience.since + nanos(NEXT_FIRST_ANSWER)
    }

    /// Has the connections go on that were held at their first answers.
    fn release(&mut self, now: u64) {
        for key in 0..self.slots.len() {
            if self.slots[key].state == State::Held {
                self.next(key, now);
            }
        }
    }

    /// Begins to record when the time has come, and hands over whole stretches.
    fn cross_boundaries(&mut self, now: u64) {
        // The last stretch stays open until the end: answers to it may yet come.
        if now < self.next_boundary || self.next_boundary >= self.window.1 {
            return;
        }
        if self.usage_at_begin.is_none() {
            self.usage_at_begin = Some(ThreadUsage::now());
            self.note_begin();
            self.begin_recording();
            let _ = self.messages.send(Message::Begun);
            self.next_boundary += self.interval_ns;
        }
        while now >= self.next_boundary && self.next_boundary < self.window.1 {
            self.hand_over(self.interval_ns);
            self.next_boundary += self.interval_ns;
        }
    }

    /// Forgets what the warm-up recorded, once. The first request of an open loop does it itself, and
    /// leaves the rest of the begin for later: nothing may make it late.
    fn begin_recording(&mut self) {
        if let Some(mut fresh) = self.fresh.take() {
            std::mem::swap(&mut self.recorder, &mut fresh);
            self.forgotten = Some(fresh);
        }
    }

    /// Marks the connections whose request under way counts in the measured part, and those of a closed
    /// loop whose first answer it has to wait for. An open loop asks some of them later by design.
    fn note_begin(&mut self) {
        let is_closed = self.schedule.is_none() && self.plan.has_start_up();
        for slot in &mut self.slots {
            let counts = |job: Job| !job.has_ticket && self.plan.counts_in_flight(false);
            slot.asked += u64::from(slot.job.is_some_and(counts));
            slot.is_late = is_closed && !slot.was_answered;
        }
    }

    fn hand_over(&mut self, length_ns: u64) {
        let interval = Interval {
            number: self.stretch,
            begin: Duration::from_nanos(self.stretch * self.interval_ns),
            length: Duration::from_nanos(length_ns),
            seen: Box::new(std::mem::take(&mut self.recorder)),
        };
        let _ = self.messages.send(Message::Interval(interval));
        self.stretch += 1;
    }

    fn end(&mut self, now: u64) -> Ending {
        let end = now.min(self.window.1);
        // Also where the worker was kept from its processor for all of it.
        let mut missed = Vec::new();
        if self.window.0 <= end {
            self.cross_boundaries(end);
            missed = self.miss_due(end, now);
            self.hand_over(end.saturating_sub(self.window.0 + self.stretch * self.interval_ns));
        }
        self.end_pause(u64::MAX);
        let usage =
            self.usage_at_begin.map_or_else(ThreadUsage::default, |begin| ThreadUsage::now().since(begin));
        let has_begun = self.usage_at_begin.is_some();
        let cpu_wait_before = self.cpu_wait_before.unwrap_or_default();
        let age = |job: Job| {
            let counts = has_begun && self.plan.counts_in_flight(job.has_ticket);
            // An open loop went on waiting for them, a closed one did not.
            let until = if self.schedule.is_some() { now } else { end };
            counts.then(|| job.age(until))
        };
        let waiting = self.slots.iter().filter(|slot| slot.state == State::Waiting);
        let is_starved = |slot: &&Slot| slot.was_established && slot.answers == 0 && !slot.is_never_asked();
        // What was assigned to a connection that does not stand yet waits as much as what is in line.
        let assigned = self.slots.iter().filter(|slot| slot.state != State::Waiting);
        Ending {
            in_flight_ages: waiting
                .filter_map(|slot| age(slot.job?))
                .chain(self.late_ages.drain(..))
                .collect(),
            unsent_ages: self
                .line
                .iter()
                .map(|&intended| self.in_line(intended))
                .chain(assigned.filter_map(|slot| slot.job))
                .filter_map(age)
                .chain(missed)
                .collect(),
            established: self.slots.iter().filter(|slot| slot.was_established).count() as u64,
            served: self.slots.iter().filter(|slot| slot.answers > 0).count() as u64,
            starved: self.slots.iter().filter(is_starved).count() as u64,
            never_asked: self.slots.iter().filter(|slot| slot.is_never_asked()).count() as u64,
            unserved_at_begin: self.slots.iter().filter(|slot| slot.is_late).count() as u64,
            served_later: self.slots.iter().filter(|slot| slot.is_late && slot.answers > 0).count() as u64,
            opened_total: self.opened_total,
            idle_established: self.idle.len() as u64,
            idle_answered: self.idle_answered,
            limits: self.limits,
            connect_error: self.connect_error.take(),
            window: (self.window.0, end),
            scheduled: self.scheduled,
            answers: self.slots.iter().map(|slot| slot.good_answers).collect(),
            arrivals: std::mem::take(&mut self.arrivals),
            last_done: self.last_done,
            pauses: std::mem::take(&mut self.pauses),
            idle: Duration::from_nanos(self.idle_ns),
            usage,
            cpu_wait: cpu_wait().map(|wait| wait.saturating_sub(cpu_wait_before)),
        }
    }
}
