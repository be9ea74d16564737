//! Gives connections their requests: right after the previous response in a closed loop, by the
//! schedule in an open one.

use super::pending::PendingRequest;
use super::slot::State;
use super::{MAX_DISPATCHED, Worker};
use crate::recorder::Age;
use crate::workload::Lifetime;

impl Worker {
    /// Gives a free slot its next request, which is sent as soon as there is a connection.
    pub(super) fn next(&mut self, key: usize, now: u64) {
        if self.pacer.is_open() {
            return self.next_of_backlog(key, now);
        }
        if !self.start_up.is_over() && self.slots[key].was_answered {
            self.slots[key].pending = None;
            self.slots[key].state = State::Held;
            return;
        }
        let (begin, end) = self.recording.window();
        let measured = now >= begin;
        let over = now >= end || (measured && !self.plan.take_ticket());
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
        if let Some(intended) = self.pacer.pop_backlog() {
            return self.begin(key, self.backlogged(intended), now);
        }
        let slot = &mut self.slots[key];
        slot.pending = None;
        if slot.socket.is_some() || self.plan.workload.lifetime != Lifetime::Persistent {
            // A connection with a lifetime is made when a request needs it; the connect is part of
            // that latency.
            slot.state = State::Free;
            self.pacer.push_free(key);
        } else {
            slot.state = State::Closed;
            self.connecting.push(key);
        }
    }

    /// Returns a request that has waited in the backlog.
    pub(super) fn backlogged(&self, intended: u64) -> PendingRequest {
        PendingRequest {
            intended,
            has_ticket: intended >= self.recording.window().0,
            ..PendingRequest::default()
        }
    }

    /// Sends the requests of an open loop that are due; a request that finds no connection free
    /// waits in the backlog. Returns the number of requests that were due.
    pub(super) fn dispatch_due(&mut self) -> usize {
        let (begin, end) = self.recording.window();
        let mut dispatched = 0;
        while self.pacer.next_wake() != u64::MAX && dispatched < MAX_DISPATCHED {
            let now = self.plan.clock.now();
            let intended = self.pacer.next_due();
            if intended > now {
                break;
            }
            let measured = intended >= begin;
            if intended >= end || (measured && !self.plan.take_ticket()) {
                self.pacer.stop();
                break;
            }
            if measured {
                self.recording.forget_warm_up();
            }
            dispatched += 1;
            self.pacer.advance(measured);
            let pending = PendingRequest {
                intended,
                has_ticket: measured,
                lag_is_open: true,
                ..PendingRequest::default()
            };
            if let Some(key) = self.pacer.pop_free(&self.slots) {
                self.begin(key, pending, now);
            } else {
                // The request waits for a connection and not for the generator, so it arrives now.
                self.recording.note_arrival(pending, now);
                self.pacer.push_backlog(intended);
            }
        }
        dispatched
    }

    /// Reports requests that were due before the end and never sent. Returns the ages of those that
    /// do not fit into the backlog.
    pub(super) fn miss_due(&mut self, end: u64, now: u64) -> Vec<Age> {
        // Send lag is the lateness of requests for which a connection was free.
        let had_free = self.slots.iter().any(|slot| slot.state == State::Free);
        let window = (self.recording.window().0, end);
        self.pacer.miss_due(&self.plan, window, now, |lag, count| {
            if had_free {
                self.recording.note_lag(lag, count);
            }
        })
    }
}
