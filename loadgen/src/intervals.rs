//! The results of a run, put together from the reports of its workers, interval by interval.

use std::time::Duration;

use crate::measurement::{Batch, MAX_BATCHES, Times};
use crate::recorder::{Age, Interval, Recorder};

/// The total of the intervals that all workers have reported, and the intervals that are not
/// complete yet.
#[derive(Debug)]
pub(crate) struct Intervals {
    workers: usize,
    /// Intervals that some workers have not reported yet, with the number of workers that have.
    open: Vec<(usize, Interval)>,
    total: Recorder,
    batches: Vec<Batch>,
    /// Number of intervals per batch.
    per_batch: u64,
    /// Number and end of the last interval.
    last: (u64, Duration),
    /// True if requests without a response were entered at their age.
    is_censored: bool,
}

impl Intervals {
    /// Creates the results of a run with this number of workers.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            open: Vec::new(),
            total: Recorder::default(),
            batches: Vec::new(),
            per_batch: 1,
            last: (0, Duration::ZERO),
            is_censored: false,
        }
    }

    /// Merges a worker's results of an interval with those of the other workers. Returns the
    /// interval when all workers have reported it.
    pub fn add(&mut self, interval: Interval) -> Option<Interval> {
        let at = match self.open.iter().position(|(_, open)| open.number == interval.number) {
            None => {
                self.open.push((1, interval));
                self.open.len() - 1
            }
            Some(at) => {
                let (workers, open) = &mut self.open[at];
                *workers += 1;
                open.length = open.length.max(interval.length);
                open.seen.merge(&interval.seen);
                at
            }
        };
        if self.open[at].0 < self.workers {
            return None;
        }
        let (_, interval) = self.open.swap_remove(at);
        self.keep(&interval);
        Some(interval)
    }

    /// Takes an interval that not all workers have reported; to be called once all have ended.
    /// Workers that were stopped may have ended in different intervals; the earliest comes first.
    pub fn pop_open(&mut self) -> Option<Interval> {
        self.open.sort_by_key(|(_, interval)| std::cmp::Reverse(interval.number));
        let (_, interval) = self.open.pop()?;
        self.keep(&interval);
        Some(interval)
    }

    /// Adds an interval to the total and to its batch.
    fn keep(&mut self, interval: &Interval) {
        self.total.merge(&interval.seen);
        // Intervals come in order.
        self.last = (interval.number, interval.begin + interval.length);
        if interval.number.is_multiple_of(self.per_batch) || self.batches.is_empty() {
            if self.batches.len() == MAX_BATCHES {
                self.batches =
                    std::mem::take(&mut self.batches).chunks(2).map(Batch::join).collect();
                self.per_batch *= 2;
            }
            self.batches.push(Batch::of(interval));
        } else if let Some(last) = self.batches.last_mut() {
            *last = Batch::join(&[last.clone(), Batch::of(interval)]);
        }
    }

    /// Adds the requests without a response, once all workers have ended, and returns them as an
    /// interval of no length; `None` if this was done before. Each counts with its age, the least
    /// that its latency can be, so that a server that hangs does not look fast. Ages below the
    /// median are left out: such a request may still be an ordinary one. Without a completed
    /// request there is no distribution to correct.
    pub fn censor<'a>(&mut self, ages: impl Iterator<Item = &'a Age>) -> Option<Interval> {
        if std::mem::replace(&mut self.is_censored, true) || self.total.completed == 0 {
            return None;
        }
        let times = &self.total.times;
        let median = |times: &Times| times.value_at_quantile(0.5);
        let (latency, response) = (median(&times.latency), median(&times.response));
        let mut seen = Box::<Recorder>::default();
        for age in ages {
            if age.latency > latency {
                seen.times.latency.saturating_record_n(age.latency, age.count);
                seen.times.unanswered.saturating_record_n(age.latency, age.count);
            }
            if age.response > response {
                seen.times.response.saturating_record_n(age.response, age.count);
            }
        }
        if seen.times.latency.is_empty() {
            return None;
        }
        let (number, begin) = self.last;
        let interval = Interval { number, begin, length: Duration::ZERO, seen };
        self.total.merge(&interval.seen);
        if let Some(last) = self.batches.last_mut() {
            *last = Batch::join(&[last.clone(), Batch::of(&interval)]);
        }
        Some(interval)
    }

    /// Takes the total, and the batches of the measured part.
    pub fn take(&mut self) -> (Recorder, Vec<Batch>) {
        if self.total.completed == 0 {
            self.forget_ages();
        }
        (std::mem::take(&mut self.total), std::mem::take(&mut self.batches))
    }

    /// Drops the ages of requests that timed out: without a completed request they are not
    /// latencies.
    fn forget_ages(&mut self) {
        let times = &mut self.total.times;
        for ages in [&mut times.latency, &mut times.response, &mut times.unanswered] {
            ages.reset();
        }
        self.batches.iter_mut().for_each(|batch| batch.latency.reset());
    }
}
