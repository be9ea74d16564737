//! State that the workers of a run share: its target and workload, its clock, the limits of its
//! measured part, and the rules that decide which requests count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::{Clock, nanos};
use crate::target::Target;
use crate::timeline::Timeline;
use crate::workload::{Pacing, Until, Workload};

/// Longest time between two checks of the clock while no event comes.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// State that all workers of a run share.
#[derive(Debug)]
pub(crate) struct Plan {
    pub target: Target,
    pub workload: Workload,
    pub clock: Clock,
    workers: usize,
    timeline: Timeline,
    /// Requests of the measured part that may still be sent, in a run that ends after a number of
    /// requests.
    tickets: AtomicI64,
    /// Set by the caller that started the run, to end it early.
    stop: Arc<AtomicBool>,
    /// Set when the [`Run`](crate::Run) was dropped, or no connection can be made.
    abandoned: AtomicBool,
    /// Set when the first connection of any worker is established.
    reached: AtomicBool,
}

impl Plan {
    /// Creates the plan of a run on this number of threads.
    pub fn new(target: Target, workload: Workload, threads: usize, stop: Arc<AtomicBool>) -> Self {
        let tickets = match workload.until {
            Until::Requests(requests) => i64::try_from(requests).unwrap_or(i64::MAX),
            Until::Elapsed(_) | Until::Told => 0,
        };
        // One more for the slow clients, which have their own thread.
        let opening_idle = threads + usize::from(workload.slow > 0);
        Self {
            target,
            workload,
            clock: Clock::start(),
            workers: threads,
            timeline: Timeline::new(threads, opening_idle),
            tickets: AtomicI64::new(tickets),
            stop,
            abandoned: AtomicBool::new(false),
            reached: AtomicBool::new(false),
        }
    }

    /// Notes that a worker has opened its idle connections, if it has any. The last such report
    /// begins the measured part of a run in which every request counts.
    pub fn worker_has_idle(&self, now: u64) {
        self.timeline.note_idle(self.counts_all(), now);
    }

    /// Returns true if the idle connections of all workers are open.
    pub fn may_send(&self) -> bool {
        self.timeline.may_send()
    }

    /// Returns true if requests count from the first one on: a closed loop without a warm-up that
    /// does not end after a time sends the requests that count and no others.
    fn counts_all(&self) -> bool {
        let Workload { pacing, until, warmup, .. } = &self.workload;
        *pacing == Pacing::Closed && !matches!(until, Until::Elapsed(_)) && warmup.is_zero()
    }

    /// Returns the moment at which the measured part began, once a worker has reported it.
    pub fn begun(&self) -> Instant {
        self.clock.instant(self.timeline.window().0)
    }

    /// Returns the number of threads that share the schedule.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Returns true if requests are sent before the measured part.
    pub fn has_start_up(&self) -> bool {
        !self.counts_all()
    }

    /// Notes that a connection was established.
    pub fn server_was_reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }

    /// Returns true if a connection of the run was established at some time.
    pub fn is_server_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// Ends the run: its [`Run`](crate::Run) was dropped, or no connection can be made.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Notes that the connections of a worker are ready. The last such report sets the beginning of
    /// the measured part.
    pub fn worker_is_ready(&self, now: u64) {
        let length = match self.workload.until {
            Until::Elapsed(time) => Some(nanos(time)),
            Until::Requests(_) | Until::Told => None,
        };
        self.timeline.note_ready(now + nanos(self.workload.warmup).max(self.notice()), length);
    }

    /// Returns the least time between the announcement of the measured part and its beginning, in
    /// nanoseconds. Other workers see the announcement a tick later, and an open loop must already
    /// be waiting for its first request.
    fn notice(&self) -> u64 {
        let is_open = matches!(self.workload.pacing, Pacing::Open { .. });
        if self.workers > 1 || is_open { nanos(TICK) } else { 0 }
    }

    /// Returns the beginning and the end of the measured part, as far as they are known.
    pub fn window(&self) -> (u64, u64) {
        self.timeline.window()
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.abandoned.load(Ordering::Relaxed)
    }

    /// Returns true if the run was told to end: no further request begins.
    pub fn is_told(&self) -> bool {
        self.workload.until == Until::Told && self.stop.load(Ordering::Relaxed)
    }

    /// Returns true if workers end at once, whatever they still wait for.
    pub fn is_cut(&self) -> bool {
        self.is_stopped() && (!self.is_told() || self.abandoned.load(Ordering::Relaxed))
    }

    /// Returns true if a request that ended at `now` belongs to the measured part. In a closed loop
    /// of a given time, every request that ended in the part counts, no matter when it began:
    /// otherwise requests in flight at the beginning would be missing from the throughput. In an
    /// open loop, requests that were due in the part count. In a run that does not end after a time,
    /// those with a ticket count.
    pub fn is_counted(&self, has_ticket: bool, now: u64, (begin, end): (u64, u64)) -> bool {
        match (self.workload.pacing, self.workload.until) {
            (Pacing::Closed, Until::Elapsed(_)) => (begin..end).contains(&now),
            (Pacing::Open { .. }, _) | (_, Until::Requests(_) | Until::Told) => has_ticket,
        }
    }

    /// Returns true if a request without a response at the end belongs to the measured part.
    pub fn counts_in_flight(&self, has_ticket: bool) -> bool {
        has_ticket
            || matches!(
                (self.workload.pacing, self.workload.until),
                (Pacing::Closed, Until::Elapsed(_))
            )
    }

    /// Takes a ticket for one more request of the measured part. Returns false if none is left.
    pub fn take_ticket(&self) -> bool {
        self.take_tickets(1) > 0
    }

    /// Takes up to `wanted` tickets, and returns their number.
    pub fn take_tickets(&self, wanted: u64) -> u64 {
        match self.workload.until {
            Until::Elapsed(_) | Until::Told => wanted,
            Until::Requests(_) => {
                let wanted_signed = i64::try_from(wanted).unwrap_or(i64::MAX / 2);
                let left = self.tickets.fetch_sub(wanted_signed, Ordering::Relaxed);
                wanted.min(left.max(0).cast_unsigned())
            }
        }
    }
}

/// Returns the share of worker `index` in `whole`. Shares are even; the first workers take the
/// remainder.
pub(crate) fn share(whole: usize, index: usize, workers: usize) -> usize {
    whole / workers + usize::from(index < whole % workers)
}
