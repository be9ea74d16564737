//! What one worker saw in one stretch of time. Stretches are merged into the whole at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::example::{ErrorExamples, StatusCodes};
use crate::measurement::{Bodies, Bytes, Distributions, Errors, Times};

/// The longest time that is told apart, in nanoseconds: 10 minutes. Longer ones count as that.
const LONGEST_NS: u64 = 600_000_000_000;

/// Three significant digits: 0.1 % of the value, the field's habit.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Counts and times of one worker in one stretch of time.
#[derive(Debug, Clone)]
pub struct Recorder {
    /// The distributions.
    pub times: Distributions,
    /// Latencies of requests by what their answers say that they were, where they do.
    pub kinds: BTreeMap<String, Times>,
    /// Requests with a whole answer of a good status.
    pub completed: u64,
    /// Of those, how many had their answer after the measured part.
    pub answered_after_end: u64,
    /// Of those, how many were redirections.
    pub redirected: u64,
    /// Everything that went wrong.
    pub errors: Errors,
    /// The same by address, in the order of the target's.
    pub errors_at: BTreeMap<usize, Errors>,
    /// The first failure of each kind.
    pub examples: ErrorExamples,
    /// Answers by their status.
    pub status_codes: StatusCodes,
    /// How long the bodies of the answers were.
    pub bodies: Bodies,
    /// Bytes that crossed the sockets.
    pub bytes: Bytes,
}

/// When a request that was answered passed its stages, in nanoseconds of one clock.
#[derive(Debug, Clone, Copy)]
pub struct Stages {
    /// When it should have been sent.
    pub intended: u64,
    /// When it was sent.
    pub sent: u64,
    /// When its answer began to come.
    pub first_byte: u64,
    /// When its answer was whole.
    pub done: u64,
    /// How long it waited for its `connect`, where it is one for which a connection was made.
    pub connect_wait: Option<u64>,
    /// How long the connection took, for the first counted request of one.
    pub connect_took: Option<u64>,
}

/// How long requests without an answer have waited, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Age {
    /// Since it should have been sent.
    pub latency: u64,
    /// The same without its wait for a `connect`.
    pub response: u64,
    /// Requests of that age.
    pub count: u64,
}

/// A stretch of the measured part, as long as [`Workload::interval`](crate::Workload) or what the
/// end left of it.
#[derive(Debug, Clone)]
pub struct Interval {
    /// Stretches before it.
    pub number: u64,
    /// When it began, from the begin of the measured part.
    pub begin: Duration,
    /// How long it was.
    pub length: Duration,
    /// What was seen in it.
    pub seen: Box<Recorder>,
}

/// An empty distribution.
pub fn empty_times() -> Times {
    Histogram::new_with_bounds(1, LONGEST_NS, SIGNIFICANT_DIGITS).expect("the bounds are constants that fit")
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            times: Distributions {
                latency: empty_times(),
                service: empty_times(),
                connect: empty_times(),
                first_byte: empty_times(),
                send_lag: empty_times(),
                connect_wait: empty_times(),
                response: empty_times(),
                unanswered: empty_times(),
            },
            kinds: BTreeMap::new(),
            completed: 0,
            answered_after_end: 0,
            redirected: 0,
            errors: Errors::default(),
            errors_at: BTreeMap::new(),
            examples: ErrorExamples::default(),
            status_codes: StatusCodes::default(),
            bodies: Bodies::default(),
            bytes: Bytes::default(),
        }
    }
}

impl Recorder {
    /// Enters a request that was answered well.
    pub fn record(&mut self, stages: Stages) {
        let Stages { intended, sent, first_byte, done, connect_wait, connect_took } = stages;
        self.completed += 1;
        self.times.latency.saturating_record(done - intended);
        self.times.response.saturating_record(done - intended - connect_wait.unwrap_or(0));
        self.times.service.saturating_record(done - sent);
        self.times.first_byte.saturating_record(first_byte - sent);
        if let Some(wait) = connect_wait {
            self.times.connect_wait.saturating_record(wait);
        }
        if let Some(took) = connect_took {
            self.times.connect.saturating_record(took);
        }
    }

    /// Enters the latency of a request whose answer said what it was.
    pub fn record_kind(&mut self, kind: &str, latency: u64) {
        let times = match self.kinds.get_mut(kind) {
            Some(times) => times,
            None => self.kinds.entry(kind.to_owned()).or_insert_with(empty_times),
        };
        times.saturating_record(latency);
    }

    /// Enters requests without an answer at their age, the least that their latency can be.
    pub fn record_age(&mut self, age: Age) {
        self.times.latency.saturating_record_n(age.latency, age.count);
        self.times.unanswered.saturating_record_n(age.latency, age.count);
        self.times.response.saturating_record_n(age.response, age.count);
    }

    /// Counts a failure of this kind, at the address of that place in the target.
    pub fn count_error(&mut self, address: usize, kind: fn(&mut Errors) -> &mut u64) {
        *kind(&mut self.errors) += 1;
        *kind(self.errors_at.entry(address).or_default()) += 1;
    }

    /// Adds what another worker, or another stretch of time, saw.
    pub fn merge(&mut self, other: &Self) {
        self.times.add(&other.times);
        for (kind, times) in &other.kinds {
            let sum = self.kinds.entry(kind.clone()).or_insert_with(empty_times);
            sum.add(times).expect("all distributions have the same bounds");
        }
        self.completed += other.completed;
        self.answered_after_end += other.answered_after_end;
        self.redirected += other.redirected;
        self.errors += other.errors;
        for (&address, &errors) in &other.errors_at {
            *self.errors_at.entry(address).or_default() += errors;
        }
        self.examples.merge(&other.examples);
        self.status_codes.merge(&other.status_codes);
        self.bodies += other.bodies;
        self.bytes.read += other.bytes.read;
        self.bytes.written += other.bytes.written;
    }
}
