//! The send times of requests: right after the previous response in a closed loop, by the schedule
//! in an open one.

use super::pending::PendingRequest;
use super::slot::State;
use super::{MAX_BACKLOG, MAX_DISPATCHED, Worker};
use crate::clock::nanos;
use crate::measurement::MAX_ARRIVALS;
use crate::recorder::Age;
use crate::workload::Lifetime;

/// Parts of equal length that the rest of a schedule is cut into; the requests of a part share one
/// age. A tenth of a percent of the length is as exact as the histograms are.
const REST_STEPS: u64 = 1000;

impl Worker {
    /// Gives a free slot its next request, which is sent as soon as there is a connection.
    pub(super) fn next(&mut self, key: usize, now: u64) {
        if self.schedule.is_some() {
            return self.next_of_backlog(key, now);
        }
        if !self.start_up.is_over() && self.slots[key].was_answered {
            self.slots[key].pending = None;
            self.slots[key].state = State::Held;
            return;
        }
        let measured = now >= self.window.0;
        let over = now >= self.window.1 || (measured && !self.plan.take_ticket());
        if over {
            self.slots[key].pending = None;
            self.slots[key].state = State::Done;
            return;
        }
        self.begin(
            key,
            PendingRequest { intended: now, has_ticket: measured, ..PendingRequest::default() },
            now,
        );
    }

    pub(super) fn begin(&mut self, key: usize, pending: PendingRequest, now: u64) {
        let slot = &mut self.slots[key];
        slot.asked += u64::from(pending.has_ticket);
        if slot.socket.is_some() {
            slot.pending = Some(pending);
            return self.send(key, now);
        }
        // A request that was due earlier, and finds this connection free, has waited for the
        // generator since then.
        let since = if pending.lag_is_open { pending.intended } else { now };
        slot.pending = Some(PendingRequest { lacks_connection_since: Some(since), ..pending });
        slot.state = State::Closed;
        self.connecting.push(key);
    }

    /// Gives a free slot of an open loop the request that has waited longest, or lets the slot wait
    /// for the schedule.
    pub(super) fn next_of_backlog(&mut self, key: usize, now: u64) {
        if let Some(intended) = self.backlog.pop_front() {
            return self.begin(key, self.backlogged(intended), now);
        }
        let slot = &mut self.slots[key];
        slot.pending = None;
        if slot.socket.is_some() || self.plan.workload.lifetime != Lifetime::Persistent {
            // A connection with a lifetime is made when a request needs it; the connect is part of
            // that latency.
            slot.state = State::Free;
            self.free.push_back(key);
        } else {
            slot.state = State::Closed;
            self.connecting.push(key);
        }
    }

    /// Returns a request that has waited in the backlog.
    pub(super) fn backlogged(&self, intended: u64) -> PendingRequest {
        PendingRequest { intended, has_ticket: intended >= self.window.0, ..PendingRequest::default() }
    }

    /// Returns the next time of the schedule, on the run's clock. The schedule begins with the
    /// warm-up.
    pub(super) fn due(&mut self) -> u64 {
        let begin = self.window.0.saturating_sub(nanos(self.plan.workload.warmup));
        self.schedule.as_mut().and_then(Iterator::next).map_or(u64::MAX, |at| begin + at)
    }

    /// Sends the requests of an open loop that are due; a request that finds no connection free
    /// waits in the backlog. Returns the number of requests that were due.
    pub(super) fn dispatch_due(&mut self) -> usize {
        let mut dispatched = 0;
        while self.next_due != u64::MAX && self.backlog.len() < MAX_BACKLOG && dispatched < MAX_DISPATCHED {
            let now = self.plan.clock.now();
            let intended = self.next_due;
            if intended > now {
                break;
            }
            let measured = intended >= self.window.0;
            if intended >= self.window.1 || (measured && !self.plan.take_ticket()) {
                self.next_due = u64::MAX;
                break;
            }
            if measured {
                self.begin_recording();
            }
            dispatched += 1;
            self.next_due = self.due();
            self.scheduled += u64::from(measured);
            let pending = PendingRequest {
                intended,
                has_ticket: measured,
                lag_is_open: true,
                ..PendingRequest::default()
            };
            if let Some(key) = self.pop_free() {
                self.begin(key, pending, now);
            } else {
                // The request waits for a connection and not for the generator, so it arrives now.
                self.note_arrival(pending, now);
                self.backlog.push_back(intended);
            }
        }
        dispatched
    }

    /// Queues requests that were due before the end but never sent, so that a stalled worker, or
    /// one whose backlog was full, reports them. Returns the ages of further ones, which do not fit
    /// into the backlog.
    pub(super) fn miss_due(&mut self, end: u64, now: u64) -> Vec<Age> {
        let had_free = self.slots.iter().any(|slot| slot.state == State::Free);
        while self.next_due < end && self.backlog.len() < MAX_BACKLOG {
            let intended = self.next_due;
            let measured = intended >= self.window.0;
            if measured && !self.plan.take_ticket() {
                return Vec::new();
            }
            self.next_due = self.due();
            self.scheduled += u64::from(measured);
            // Send lag is the lateness of requests for which a connection was free.
            if had_free && measured {
                self.recorder.times.send_lag.saturating_record(now - intended);
            }
            self.backlog.push_back(intended);
        }
        let rest = self.count_rest(end, now);
        for age in rest.iter().filter(|_| had_free) {
            self.recorder.times.send_lag.saturating_record_n(age.latency, age.count);
        }
        rest
    }

    /// Counts the rest of the schedule up to `end` without drawing its times: there may be
    /// billions. They are taken to be evenly spaced, which is nearly true for that many random ones
    /// as well.
    fn count_rest(&mut self, end: u64, now: u64) -> Vec<Age> {
        let (Some(rate), true) = (self.plan.workload.pacing.rate(), self.next_due < end) else {
            return Vec::new();
        };
        let begin = self.next_due.max(self.window.0);
        let length = end - begin;
        // One nanosecond less: the next time was rounded down to a whole one.
        let due = (rate / self.plan.workers() as f64 * (length - 1) as f64 / 1e9).ceil() as u64;
        let count = self.plan.take_tickets(due);
        self.scheduled += count;
        let part =
            |whole: u64, step: u64| (u128::from(whole) * u128::from(step) / u128::from(REST_STEPS)) as u64;
        let ages = (0..REST_STEPS).map(|step| {
            let latency = now - (begin + part(length, step));
            Age { latency, response: latency, count: part(count, step + 1) - part(count, step) }
        });
        ages.filter(|age| age.count > 0).collect()
    }

    /// Records the arrival of a request of the measured part: its send, or its entry into the
    /// backlog.
    pub(super) fn note_arrival(&mut self, pending: PendingRequest, now: u64) {
        if pending.has_ticket && self.arrivals.len() < MAX_ARRIVALS {
            self.arrivals.push(now.saturating_sub(self.window.0));
        }
    }

    /// Records the send lag, and the arrival, of a request of the measured part that found a
    /// connection free.
    pub(super) fn note_lag(&mut self, pending: PendingRequest, now: u64) {
        if pending.has_ticket {
            self.recorder.times.send_lag.saturating_record(now - pending.intended);
        }
        self.note_arrival(pending, now);
    }

    /// Takes a slot that waits for a request; slots that were closed meanwhile are passed over.
    pub(super) fn pop_free(&mut self) -> Option<usize> {
        loop {
            let key = self.free.pop_front()?;
            if self.slots[key].state == State::Free {
                return Some(key);
            }
        }
    }
}
