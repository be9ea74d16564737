//! Results of a worker: what is recorded of each request of the measured part, interval by
//! interval.

use std::io;
use std::time::Duration;

use crossbeam::channel::Sender;

use super::exchange::Failure;
use super::pending::PendingRequest;
use super::report::{Ending, Message};
use super::slot::Slot;
use crate::clock::nanos;
use crate::connection::Head;
use crate::measurement::{Bytes, MAX_ARRIVALS};
use crate::plan::Plan;
use crate::recorder::{Age, Interval, Recorder, Stages};

/// Recorder of the current interval, and the reports to the run.
#[derive(Debug)]
pub(super) struct Recording {
    messages: Sender<Message>,
    recorder: Recorder,
    /// Empty recorder, made before the measured part begins. Making one takes a hundred
    /// microseconds, and the first request of an open loop would be late by that time.
    fresh: Option<Box<Recorder>>,
    /// Recordings of the warm-up; their memory is released later, when there is time.
    forgotten: Option<Box<Recorder>>,
    /// Beginning and end of the measured part, as far as they are known.
    window: (u64, u64),
    has_begun: bool,
    /// Length of the intervals that are handed over, in nanoseconds.
    interval_ns: u64,
    /// Number of the interval that is being recorded, and the time at which it ends. Before the
    /// measured part, that is the time at which the part begins.
    interval: u64,
    next_boundary: u64,
    arrivals: Vec<u64>,
    /// Ages, at the end of the measured part, of requests that ended after it.
    late_ages: Vec<Age>,
    last_done: u64,
}

/// Returns true if a client would follow a response of this status to another URL. A 300 offers a
/// choice, and a 304 says that there is nothing new (RFC 9110, section 15.4).
fn is_redirection(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

impl Recording {
    pub fn new(interval: Duration, messages: Sender<Message>) -> Self {
        Self {
            messages,
            recorder: Recorder::default(),
            fresh: Some(Box::default()),
            forgotten: None,
            window: (u64::MAX, u64::MAX),
            has_begun: false,
            interval_ns: nanos(interval).max(1),
            interval: 0,
            next_boundary: u64::MAX,
            arrivals: Vec::new(),
            late_ages: Vec::new(),
            last_done: 0,
        }
    }

    /// Returns the beginning and the end of the measured part, in nanoseconds of the clock;
    /// `u64::MAX` while they are not known.
    pub fn window(&self) -> (u64, u64) {
        self.window
    }

    /// Returns true if this time lies in the measured part.
    pub fn is_measured(&self, at: u64) -> bool {
        (self.window.0..self.window.1).contains(&at)
    }

    /// Asks the plan for the beginning and the end of the measured part, until both are known.
    pub fn look_at_window(&mut self, plan: &Plan) {
        if self.window.0 == u64::MAX || self.window.1 == u64::MAX {
            self.window = plan.window();
            if !self.has_begun {
                self.next_boundary = self.window.0;
            }
        }
    }

    /// Ends the measured part now, unless it is over already.
    pub fn end_at(&mut self, now: u64) {
        self.window.1 = self.window.1.min(now);
    }

    /// Returns true if the measured part has begun and this worker has noticed.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Returns true if the measured part begins or an interval is over. The last interval stays
    /// open until the end: responses that belong to it may still come.
    pub fn is_at_boundary(&self, now: u64) -> bool {
        now >= self.next_boundary && self.next_boundary < self.window.1
    }

    /// Discards the recordings of the warm-up, once. The first request of an open loop calls this
    /// itself and leaves the rest of `begin` for later, because nothing may make it late.
    pub fn forget_warm_up(&mut self) {
        if let Some(mut fresh) = self.fresh.take() {
            std::mem::swap(&mut self.recorder, &mut fresh);
            self.forgotten = Some(fresh);
        }
    }

    /// Begins the measured part.
    pub fn begin(&mut self) {
        self.has_begun = true;
        self.forget_warm_up();
        let _ = self.messages.send(Message::Begun);
        self.next_boundary += self.interval_ns;
    }

    /// Hands over the intervals that are over.
    pub fn hand_over_due(&mut self, now: u64) {
        while self.is_at_boundary(now) {
            self.hand_over(self.interval_ns);
            self.next_boundary += self.interval_ns;
        }
    }

    /// Hands over the last interval, which ends with the measured part.
    pub fn hand_over_last(&mut self, end: u64) {
        self.hand_over(end.saturating_sub(self.window.0 + self.interval * self.interval_ns));
    }

    fn hand_over(&mut self, length_ns: u64) {
        let interval = Interval {
            number: self.interval,
            begin: Duration::from_nanos(self.interval * self.interval_ns),
            length: Duration::from_nanos(length_ns),
            seen: Box::new(std::mem::take(&mut self.recorder)),
        };
        let _ = self.messages.send(Message::Interval(interval));
        self.interval += 1;
    }

    /// Reports the end. No message follows, so that the receiver sees the end of the last worker,
    /// even if another one panicked.
    pub fn close(self, ending: Ending) {
        let _ = self.messages.send(Message::Ended(Box::new(ending)));
    }

    /// Takes the arrival times of requests, from the beginning of the measured part.
    pub fn take_arrivals(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.arrivals)
    }

    /// Takes the ages, at the end of the measured part, of requests that ended after it.
    pub fn take_late_ages(&mut self) -> Vec<Age> {
        std::mem::take(&mut self.late_ages)
    }

    /// Returns the time at which the last request of the measured part ended.
    pub fn last_done(&self) -> u64 {
        self.last_done
    }

    /// Returns the count of the bytes that cross the sockets.
    pub fn bytes(&mut self) -> &mut Bytes {
        &mut self.recorder.bytes
    }

    /// Records the arrival of a request of the measured part: its send, or its entry into the
    /// backlog.
    pub fn note_arrival(&mut self, pending: PendingRequest, now: u64) {
        if pending.has_ticket && self.arrivals.len() < MAX_ARRIVALS {
            self.arrivals.push(now.saturating_sub(self.window.0));
        }
    }

    /// Records the send lag, and the arrival, of a request of the measured part that found a
    /// connection free.
    pub fn note_send(&mut self, pending: PendingRequest, now: u64) {
        if pending.has_ticket {
            self.note_lag(now - pending.intended, 1);
        }
        self.note_arrival(pending, now);
    }

    /// Records the send lag of this number of requests.
    pub fn note_lag(&mut self, lag: u64, count: u64) {
        self.recorder.times.send_lag.saturating_record_n(lag, count);
    }

    /// Keeps the age that a request had at the end of the measured part, if it ended later: it was
    /// in flight at that time, and the worker notices the end only when it looks at the clock
    /// again.
    pub fn note_if_late(&mut self, plan: &Plan, pending: PendingRequest, now: u64) {
        let end = self.window.1;
        if now >= end && pending.intended < end && plan.counts_in_flight(false) {
            self.late_ages.push(pending.age(end));
        }
    }

    /// Records that a connection to the address with this index could not be made.
    pub fn record_connect_failure(&mut self, plan: &Plan, place: usize, error: &io::Error) {
        let address = plan.target.addresses[place];
        self.recorder.examples.connect.get_or_insert_with(|| format!("{address}: {error}"));
        self.recorder.count_error(place, |errors| &mut errors.connect);
    }

    /// Records a response of the measured part; `body_bytes` is the length of its body, if the
    /// response should have one, and `kind` the kind of the request, if the response names it.
    pub fn record_response(
        &mut self,
        slot: &mut Slot,
        pending: PendingRequest,
        head: Head,
        body_bytes: Option<u64>,
        kind: Option<&str>,
        now: u64,
    ) {
        self.last_done = now;
        slot.responses += 1;
        self.recorder.status_codes.count(head.status);
        if head.status >= 400 {
            self.recorder.count_error(slot.address, |errors| &mut errors.status);
            return;
        }
        slot.good_responses += 1;
        self.recorder.redirected += u64::from(is_redirection(head.status));
        if let Some(bytes) = body_bytes {
            self.recorder.bodies.count(bytes);
        }
        self.recorder.answered_after_end += u64::from(now >= self.window.1);
        self.recorder.record(Stages {
            intended: pending.intended,
            sent: pending.sent,
            first_byte: pending.first_byte.unwrap_or(now),
            done: now,
            connect_wait: pending.connect_wait,
            connect_took: slot.take_connect_time(),
        });
        if let Some(kind) = kind {
            self.recorder.record_kind(kind, now - pending.intended);
        }
    }

    /// Records the failure of a request of the measured part, of `request_bytes` bytes, at the
    /// address with this index.
    pub fn record_failure(
        &mut self,
        plan: &Plan,
        address: usize,
        request_bytes: usize,
        pending: PendingRequest,
        failure: &Failure,
        now: u64,
    ) {
        self.last_done = now;
        self.count_failure(plan, address, request_bytes, pending, failure);
        if matches!(failure, Failure::Timeout) {
            // The request took at least that long; without its age, a server that is too slow would
            // look fast.
            self.recorder.record_age(pending.age(now));
        }
    }

    /// Counts a failure by its kind, and keeps the first of each kind as an example.
    fn count_failure(
        &mut self,
        plan: &Plan,
        place: usize,
        request_bytes: usize,
        pending: PendingRequest,
        failure: &Failure,
    ) {
        let address = plan.target.addresses[place];
        let answer =
            if pending.first_byte.is_some() { "within a response" } else { "before a response" };
        self.recorder.count_error(
            place,
            match failure {
                Failure::Reset(_) => |errors| &mut errors.reset,
                Failure::Timeout => |errors| &mut errors.timeout,
                Failure::Protocol(_) => |errors| &mut errors.protocol,
            },
        );
        let examples = &mut self.recorder.examples;
        match failure {
            Failure::Reset(error) => {
                examples.reset.get_or_insert_with(|| match error {
                    Some(error) => format!("{address}: {error}, {answer}"),
                    None => format!("{address}: closed by the server {answer}"),
                });
            }
            Failure::Timeout => {
                let timeout = plan.workload.timeout;
                examples.timeout.get_or_insert_with(|| match pending.first_byte {
                    Some(_) => format!("{address}: no end of a response within {timeout:?}"),
                    None if pending.written < request_bytes => {
                        format!(
                            "{address}: took {} of {request_bytes} bytes of a request within {timeout:?}",
                            pending.written
                        )
                    }
                    None => format!("{address}: no response within {timeout:?}"),
                });
            }
            Failure::Protocol(error) => {
                examples.protocol.get_or_insert_with(|| format!("{address}: {error}"));
            }
        }
    }
}
