//! One event loop on one thread: it opens its share of the connections, sends requests, receives
//! responses, and records their times.
//!
//! Epoll is edge-triggered, and each socket is registered once for its whole life: a request costs
//! one write and one read, and no call to change the registration. The next request follows a
//! response at once, without a wait in between.
//!
//! The worker is made of parts that share nothing but the slots, which hold one connection each.
//! This file is its loop, and `course.rs` takes a request through the parts.

mod connecting;
mod course;
mod dialer;
mod exchange;
mod idle;
mod lingering;
mod own_time;
mod pacer;
mod pending;
mod poller;
mod recording;
mod report;
mod slot;
mod start_up;
mod timer;

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender};
use rustix::event::epoll;
use rustix::thread::set_current_timer_slack;

use crate::addresses::Share;
use crate::clock::nanos;
use crate::plan::{Plan, TICK, share};
use crate::silence::Pauses;
use crate::workload::{Pacing, Until};

use self::connecting::Connecting;
pub(crate) use self::connecting::FIRST_CONNECTION;
use self::dialer::Dialer;
use self::exchange::Exchange;
use self::idle::{Idle, Opening};
use self::lingering::Lingering;
use self::own_time::OwnTime;
use self::pacer::Pacer;
use self::pending::PendingRequest;
use self::poller::Poller;
use self::recording::Recording;
pub(crate) use self::report::{Ending, Message};
use self::slot::{Slot, State};
pub(crate) use self::start_up::NEXT_FIRST_RESPONSE;
use self::start_up::StartUp;

/// Size of the read buffer; larger responses take several reads.
const READ_BYTES: usize = 64 * 1024;

/// Most events that one wait returns.
const EVENTS: usize = 512;

/// Time between two scans for requests without a response, and so the error of a timeout.
const EXPIRE_EVERY: Duration = Duration::from_millis(50);

/// Time between two checks for the idle connections of the other workers, until all are open.
const LOOK_FOR_OTHERS: Duration = Duration::from_millis(1);

/// Failed attempts to connect, over about 4 seconds, after which a run over a number of requests
/// gives up a connection.
const MAX_TRIES: u32 = 9;

/// Time for which an open loop waits for the responses to its last requests.
const GRACE: Duration = Duration::from_secs(1);

/// The parts of an event loop, and the connections that they work on.
pub(crate) struct Worker {
    plan: Arc<Plan>,
    poller: Poller,
    slots: Vec<Slot>,
    dialer: Dialer,
    connecting: Connecting,
    lingering: Lingering,
    start_up: StartUp,
    exchange: Exchange,
    pacer: Pacer,
    recording: Recording,
    pauses: Pauses,
    own_time: OwnTime,
    idle: Idle,
    /// Part of each address of the target.
    shares: Vec<Share>,
}

impl Worker {
    pub fn new(plan: Arc<Plan>, index: usize, messages: Sender<Message>) -> io::Result<Self> {
        let workload = &plan.workload;
        let share = share(workload.connections, index, plan.workers());
        Ok(Self {
            poller: Poller::new()?,
            slots: (0..share).map(|_| Slot::default()).collect(),
            dialer: Dialer::new(&plan, index),
            connecting: Connecting::new(),
            lingering: Lingering::default(),
            start_up: StartUp::default(),
            exchange: Exchange::new(&plan),
            pacer: Pacer::new(&plan, index),
            recording: Recording::new(workload.interval, messages),
            pauses: Pauses::default(),
            own_time: OwnTime::default(),
            idle: Idle::default(),
            shares: Share::none_yet(&plan.target.addresses),
            plan,
        })
    }

    /// Runs to the end of the measured part, then holds the connections until `release` is
    /// disconnected.
    pub fn run(mut self, idle: usize, release: &Receiver<()>) {
        let mut buffer = vec![0; READ_BYTES];
        let mut events = Vec::with_capacity(EVENTS);
        let mut next_tick = 0;
        let mut next_expire = 0;
        // By default the kernel wakes a sleeping thread up to 50 µs late, to save wake-ups.
        let _ = set_current_timer_slack(NonZero::new(1));
        let opening =
            Opening::new(idle, &self.plan, &self.poller, &mut self.dialer, &mut self.exchange);
        self.idle = opening.run(&mut buffer, &mut events);
        self.await_others();
        let mut now = self.plan.clock.now();
        self.pauses.note_awake(now);
        self.tick(now);
        for key in 0..self.slots.len() {
            self.next(key, now);
        }
        while !self.is_over(now) {
            // Due requests are sent first, so that no work that can wait makes one late.
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
            // Only after all events up to `now` were taken: a worker that was late itself must not
            // give up a request whose response has already come.
            if took_all && now >= next_expire {
                next_expire = now + nanos(EXPIRE_EVERY);
                self.expire(now);
            }
            let began = std::mem::replace(&mut now, self.plan.clock.now());
            self.pauses.note_awake(now);
            if self.recording.is_measured(began) {
                self.own_time.add_idle(if is_idle { now - began } else { slept });
            }
        }
        let ending = self.end(now);
        self.recording.close(ending);
        let _ = release.recv();
    }

    /// Waits until the idle connections of all workers are open, so that no request is sent while
    /// others still open theirs.
    fn await_others(&self) {
        self.plan.worker_has_idle(self.plan.clock.now());
        while !self.plan.may_send() && !self.plan.is_stopped() {
            thread::sleep(LOOK_FOR_OTHERS);
        }
    }

    /// Sleeps until there is an event or something to do. An open loop sleeps until shortly before
    /// its next send and then polls without sleeping. Returns the nanoseconds that an open loop
    /// slept.
    fn wait(&mut self, events: &mut Vec<epoll::Event>) -> u64 {
        let Pacing::Open { spin, .. } = self.plan.workload.pacing else {
            self.poller.wait(TICK, events);
            return 0;
        };
        let now = self.plan.clock.now();
        let wake_at = self.pacer.next_wake().saturating_sub(nanos(spin));
        if wake_at <= now {
            self.poller.wait(Duration::ZERO, events);
            return 0;
        }
        self.poller.wait_until(wake_at, now, events);
        self.plan.clock.now() - now
    }

    /// Returns true if the measured part is over: its time has passed, its requests are done, or
    /// the run was stopped.
    fn is_over(&self, now: u64) -> bool {
        if self.plan.is_cut() {
            return true;
        }
        let (begin, end) = self.recording.window();
        let is_open = self.pacer.is_open();
        match self.plan.workload.until {
            // An open loop waits some time for the responses to its last requests.
            Until::Elapsed(_) | Until::Told
                if is_open && now < end.saturating_add(nanos(GRACE)) =>
            {
                now >= end
                    && self.pacer.next_due() >= end
                    && self.pacer.has_no_backlog()
                    && !self.slots.iter().any(|slot| slot.pending.is_some())
            }
            Until::Told if !is_open => {
                now >= end && self.slots.iter().all(|slot| slot.state != State::Waiting)
            }
            Until::Elapsed(_) | Until::Told => now >= end,
            Until::Requests(_) => {
                let gave_up = |slot: &Slot| slot.failures >= MAX_TRIES;
                let finished = |slot: &Slot| match slot.state {
                    State::Done => true,
                    State::Free => {
                        self.pacer.next_due() == u64::MAX
                            && self.start_up.is_ready()
                            && begin <= now
                    }
                    _ => gave_up(slot),
                };
                self.slots.iter().all(finished)
                    && (self.pacer.has_no_backlog() || self.slots.iter().all(gave_up))
            }
        }
    }

    /// Does the periodic work, with or without events.
    fn tick(&mut self, now: u64) {
        if !self.plan.is_server_reached() {
            self.look_for_server(now);
        }
        self.start_up.look(&self.slots, &self.connecting, &self.plan, now);
        self.recording.look_at_window(&self.plan);
        if self.plan.is_told() {
            self.recording.end_at(now);
        }
        let (begin, _) = self.recording.window();
        if begin != u64::MAX && self.start_up.end() {
            self.pacer.start(begin.saturating_sub(nanos(self.plan.workload.warmup)));
            self.release(now);
        }
        if now < begin {
            self.own_time.look();
        }
        self.cross_boundaries(now);
        self.connecting.retry(now);
    }

    /// Notes when a connection of the run is established, and ends the run if none could be made
    /// for a while, because there will be nothing to measure.
    fn look_for_server(&mut self, now: u64) {
        if self.connecting.opened_total() > 0 {
            self.plan.server_was_reached();
        } else if self.connecting.has_failed_for_long(now) {
            self.plan.abandon();
        }
    }

    /// Sends the next request on connections that were held after their first response.
    fn release(&mut self, now: u64) {
        for key in 0..self.slots.len() {
            if self.slots[key].state == State::Held {
                self.next(key, now);
            }
        }
    }

    /// Begins to record when the measured part begins, and hands over complete intervals.
    fn cross_boundaries(&mut self, now: u64) {
        if !self.recording.is_at_boundary(now) {
            return;
        }
        if !self.recording.has_begun() {
            self.own_time.begin();
            self.note_begin();
            self.recording.begin();
        }
        self.recording.hand_over_due(now);
    }

    /// Counts the request in flight on each connection if it belongs to the measured part, and
    /// marks connections of a closed loop that still wait for their first response. An open loop is
    /// left out: it sends its first request on some connections only later, by design.
    fn note_begin(&mut self) {
        let is_closed = !self.pacer.is_open() && self.plan.has_start_up();
        for slot in &mut self.slots {
            let counts =
                |pending: PendingRequest| !pending.has_ticket && self.plan.counts_in_flight(false);
            slot.asked += u64::from(slot.pending.is_some_and(counts));
            slot.is_late = is_closed && !slot.was_answered;
        }
    }

    fn end(&mut self, now: u64) -> Ending {
        let (begin, end) = self.recording.window();
        let end = now.min(end);
        // This also covers a worker that had no processor during the whole measured part.
        let mut missed = Vec::new();
        if begin <= end {
            self.cross_boundaries(end);
            missed = self.miss_due(end, now);
            self.recording.hand_over_last(end);
        }
        self.end_pause(u64::MAX);
        for slot in &mut self.slots {
            self.shares[slot.address].requests += slot.take_good_responses();
        }
        let usage = self.own_time.usage();
        let late_ages = self.recording.take_late_ages();
        let has_begun = self.recording.has_begun();
        let age = |pending: PendingRequest| {
            let counts = has_begun && self.plan.counts_in_flight(pending.has_ticket);
            // An open loop continued to wait for the response; a closed one did not.
            let until = if self.pacer.is_open() { now } else { end };
            counts.then(|| pending.age(until))
        };
        let waiting = self.slots.iter().filter(|slot| slot.state == State::Waiting);
        let is_starved =
            |slot: &&Slot| slot.was_established && slot.responses == 0 && !slot.is_never_asked();
        // A request of a connection that is not established yet waits like one in the backlog.
        let assigned = self.slots.iter().filter(|slot| slot.state != State::Waiting);
        Ending {
            in_flight_ages: waiting
                .filter_map(|slot| age(slot.pending?))
                .chain(late_ages)
                .collect(),
            unsent_ages: self
                .pacer
                .backlog()
                .map(|intended| self.backlogged(intended))
                .chain(assigned.filter_map(|slot| slot.pending))
                .filter_map(age)
                .chain(missed)
                .collect(),
            established: self.slots.iter().filter(|slot| slot.was_established).count() as u64,
            served: self.slots.iter().filter(|slot| slot.responses > 0).count() as u64,
            starved: self.slots.iter().filter(is_starved).count() as u64,
            never_asked: self.slots.iter().filter(|slot| slot.is_never_asked()).count() as u64,
            unserved_at_begin: self.slots.iter().filter(|slot| slot.is_late).count() as u64,
            served_later: self
                .slots
                .iter()
                .filter(|slot| slot.is_late && slot.responses > 0)
                .count() as u64,
            opened_total: self.connecting.opened_total(),
            idle_established: self.idle.held(),
            idle_answered: self.idle.answered(),
            shares: std::mem::take(&mut self.shares),
            limits: self.dialer.limits(),
            connect_error: self.connecting.take_error(),
            window: (begin, end),
            scheduled: self.pacer.scheduled(),
            responses: self.slots.iter().map(|slot| slot.good_responses).collect(),
            arrivals: self.recording.take_arrivals(),
            last_done: self.recording.last_done(),
            pauses: std::mem::take(&mut self.pauses),
            idle: self.own_time.idle(),
            usage,
            cpu_wait: self.own_time.cpu_wait(),
        }
    }
}
