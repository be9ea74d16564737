//! The send times of requests in an open loop: the schedule, the requests that are due and wait for
//! a connection, and the connections that wait for a request. In a closed loop, all three are
//! empty.

use std::collections::VecDeque;

use super::slot::{Slot, State};
use crate::plan::Plan;
use crate::recorder::Age;
use crate::schedule::Schedule;
use crate::workload::Pacing;

/// Most requests that wait in a worker's backlog; they take 1 MiB. Further requests that are due
/// stay in the schedule, which yields their times when it is their turn, or when the run ends.
const MAX_BACKLOG: usize = 1 << 17;

/// Parts of equal length into which the rest of a schedule is cut; the requests of a part share one
/// age. A tenth of a percent of the length is as exact as the histograms are.
const REST_STEPS: u64 = 1000;

/// Pace of a worker.
#[derive(Debug)]
pub(super) struct Pacer {
    /// Schedule of an open loop, and its beginning and next time on the clock, once they are known.
    schedule: Option<Schedule>,
    begin: u64,
    next_due: u64,
    /// Requests of the measured part that the schedule called for.
    scheduled: u64,
    /// Intended send times of requests that are due and wait for a connection, [`MAX_BACKLOG`] at
    /// most.
    backlog: VecDeque<u64>,
    /// Connections that wait for a request. Some may have been closed meanwhile.
    free: VecDeque<usize>,
}

impl Pacer {
    /// Creates the pacer of worker `index`.
    pub fn new(plan: &Plan, index: usize) -> Self {
        let schedule = match plan.workload.pacing {
            Pacing::Closed => None,
            Pacing::Open { rate, arrivals, seed, .. } => {
                let share = plan.workload.share;
                let place = share.index + index * share.of;
                let workers = share.of * plan.workers();
                Some(Schedule::new(rate * share.of as f64, arrivals, seed, place, workers))
            }
        };
        Self {
            schedule,
            begin: u64::MAX,
            next_due: u64::MAX,
            scheduled: 0,
            backlog: VecDeque::new(),
            free: VecDeque::new(),
        }
    }

    /// Returns true if a schedule says when requests are sent.
    pub fn is_open(&self) -> bool {
        self.schedule.is_some()
    }

    /// Sets the time at which the schedule begins.
    pub fn start(&mut self, begin: u64) {
        self.begin = begin;
        self.next_due = self.draw();
    }

    /// Draws the next time of the schedule, on the run's clock.
    fn draw(&mut self) -> u64 {
        self.schedule.as_mut().and_then(Iterator::next).map_or(u64::MAX, |at| self.begin + at)
    }

    /// Returns the time at which the next request is due; `u64::MAX` if there is none.
    pub fn next_due(&self) -> u64 {
        self.next_due
    }

    /// Returns the time at which the next request can be taken. `u64::MAX` if the backlog is full:
    /// a response has to come first.
    pub fn next_wake(&self) -> u64 {
        if self.backlog.len() < MAX_BACKLOG { self.next_due } else { u64::MAX }
    }

    /// Moves on from the request that is due to the next one. `is_measured` says that it belongs to
    /// the measured part.
    pub fn advance(&mut self, is_measured: bool) {
        self.next_due = self.draw();
        self.scheduled += u64::from(is_measured);
    }

    /// Ends the schedule.
    pub fn stop(&mut self) {
        self.next_due = u64::MAX;
    }

    /// Returns the number of requests of the measured part that the schedule called for.
    pub fn scheduled(&self) -> u64 {
        self.scheduled
    }

    /// Puts a request that is due into the backlog, where it waits for a connection.
    pub fn push_backlog(&mut self, intended: u64) {
        self.backlog.push_back(intended);
    }

    /// Takes the request that has waited longest for a connection.
    pub fn pop_backlog(&mut self) -> Option<u64> {
        self.backlog.pop_front()
    }

    /// Returns the intended send times of the requests that wait for a connection, the longest wait
    /// first.
    pub fn backlog(&self) -> impl Iterator<Item = u64> {
        self.backlog.iter().copied()
    }

    /// Returns true if no request waits for a connection.
    pub fn has_no_backlog(&self) -> bool {
        self.backlog.is_empty()
    }

    /// Lets a connection wait for a request.
    pub fn push_free(&mut self, key: usize) {
        self.free.push_back(key);
    }

    /// Takes a connection that waits for a request, and skips those that were closed meanwhile.
    pub fn pop_free(&mut self, slots: &[Slot]) -> Option<usize> {
        loop {
            let key = self.free.pop_front()?;
            if slots[key].state == State::Free {
                return Some(key);
            }
        }
    }

    /// Queues requests that were due before the end but never sent, so that a stalled worker, or
    /// one whose backlog was full, reports them. Returns the ages of further ones, which do not fit
    /// into the backlog. The lateness of each request of the measured part is passed to `note_lag`,
    /// with a number of requests.
    pub fn miss_due(
        &mut self,
        plan: &Plan,
        (begin, end): (u64, u64),
        now: u64,
        mut note_lag: impl FnMut(u64, u64),
    ) -> Vec<Age> {
        while self.next_wake() < end {
            let intended = self.next_due;
            let is_measured = intended >= begin;
            if is_measured && !plan.take_ticket() {
                return Vec::new();
            }
            self.advance(is_measured);
            if is_measured {
                note_lag(now - intended, 1);
            }
            self.backlog.push_back(intended);
        }
        let rest = self.count_rest(plan, (begin, end), now);
        for age in &rest {
            note_lag(age.latency, age.count);
        }
        rest
    }

    /// Counts the rest of the schedule up to `end` without drawing its times: there may be
    /// billions. They are assumed to be evenly spaced, which is nearly true for that many random
    /// ones as well.
    fn count_rest(&mut self, plan: &Plan, (begin, end): (u64, u64), now: u64) -> Vec<Age> {
        let (Some(rate), true) = (plan.workload.pacing.rate(), self.next_due < end) else {
            return Vec::new();
        };
        let begin = self.next_due.max(begin);
        let length = end - begin;
        // One nanosecond less: the next time was rounded down to a whole one.
        let due = (rate / plan.workers() as f64 * (length - 1) as f64 / 1e9).ceil() as u64;
        let count = plan.take_tickets(due);
        self.scheduled += count;
        let part = |whole: u64, step: u64| {
            (u128::from(whole) * u128::from(step) / u128::from(REST_STEPS)) as u64
        };
        let ages = (0..REST_STEPS).map(|step| {
            let latency = now - (begin + part(length, step));
            Age { latency, response: latency, count: part(count, step + 1) - part(count, step) }
        });
        ages.filter(|age| age.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::target::Target;
    use crate::workload::{Arrivals, Share, Until, Workload};

    /// Returns the times within a second at which a generator of several sends requests, in
    /// microseconds.
    fn times(rate: f64, arrivals: Arrivals, share: Share, threads: usize) -> Vec<u64> {
        let target = Target::resolve("http://127.0.0.1:1/").unwrap();
        let pacing = Pacing::Open { rate, arrivals, seed: 7, spin: Duration::ZERO };
        let workload = Workload { pacing, share, ..Workload::lasting(Until::Told) };
        let plan = Plan::new(target, workload, threads, Arc::default());
        let of_thread = |index| {
            let mut pacer = Pacer::new(&plan, index);
            pacer.start(0);
            let due = std::iter::from_fn(move || {
                let due = pacer.next_due();
                pacer.advance(true);
                Some(due)
            });
            due.take_while(|&due| due < 1_000_000_000).map(|due| due / 1000).collect::<Vec<_>>()
        };
        (0..threads).flat_map(of_thread).collect()
    }

    #[test]
    fn generators_with_different_numbers_of_threads_send_one_schedule_without_gaps_or_doubles() {
        let of = 3;
        let share = |index| times(400.0, Arrivals::Constant, Share { index, of }, index + 1);
        let mut all = (0..of).flat_map(share).collect::<Vec<_>>();
        all.sort_unstable();
        let whole = times(1200.0, Arrivals::Constant, Share::default(), 1);
        assert_eq!(all, whole);
    }

    #[test]
    fn random_arrivals_of_generators_are_independent() {
        let share =
            |index, threads| times(200.0, Arrivals::Poisson, Share { index, of: 2 }, threads);
        let (one, other) = (share(0, 2), share(1, 1));
        assert!(one.iter().filter(|due| other.contains(due)).count() < 5);
    }
}
