//! Results of one worker in one interval; the run merges those of all workers.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::example::{ErrorExamples, StatusCodes};
use crate::outcome::{Bodies, Bytes, Errors};
use crate::times::{Distributions, Times, empty_times};

/// Counts and times of one worker in one interval.
#[derive(Debug, Clone)]
pub struct Recorder {
    /// Distributions of times.
    pub times: Distributions,
    /// Latencies of requests by kind, for requests whose response names their kind.
    pub kinds: BTreeMap<String, Times>,
    /// Requests with a complete response of a good status.
    pub completed: u64,
    /// Completed requests whose response came after the measured part.
    pub answered_after_end: u64,
    /// Completed requests whose response was a redirection.
    pub redirected: u64,
    /// Failures by kind.
    pub errors: Errors,
    /// Failures by address, each address given as its index among those of the target.
    pub errors_at: BTreeMap<usize, Errors>,
    /// The first failure of each kind.
    pub examples: ErrorExamples,
    /// Responses by status code.
    pub status_codes: StatusCodes,
    /// Lengths of the response bodies.
    pub bodies: Bodies,
    /// Bytes that crossed the sockets.
    pub bytes: Bytes,
}

/// Times of the stages of an answered request, in nanoseconds of one clock.
#[derive(Debug, Clone, Copy)]
pub struct Stages {
    /// Intended send time.
    pub intended: u64,
    /// Actual send time.
    pub sent: u64,
    /// Time of the first byte of the response.
    pub first_byte: u64,
    /// Time of the last byte of the response.
    pub done: u64,
    /// Time for which the request waited for its `connect`, if a connection was made for it.
    pub connect_wait: Option<u64>,
    /// Time until the connection was established, for its first counted request.
    pub connect_took: Option<u64>,
}

/// Age of requests without a response, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Age {
    /// Time since the intended send time.
    pub latency: u64,
    /// Time since the intended send time, without the wait for a `connect`.
    pub response: u64,
    /// Requests of that age.
    pub count: u64,
}

/// An interval of the measured part, as long as [`Workload::interval`](crate::Workload); the last
/// one may be shorter.
#[derive(Debug, Clone)]
pub struct Interval {
    /// Number of intervals before this one.
    pub number: u64,
    /// Beginning of the interval, from the beginning of the measured part.
    pub begin: Duration,
    /// Length of the interval.
    pub length: Duration,
    /// Results of the interval.
    pub seen: Box<Recorder>,
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
    /// Records a request with a complete response of a good status.
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

    /// Records the latency of a request whose response names its kind.
    pub fn record_kind(&mut self, kind: &str, latency: u64) {
        let times = match self.kinds.get_mut(kind) {
            Some(times) => times,
            None => self.kinds.entry(kind.to_owned()).or_insert_with(empty_times),
        };
        times.saturating_record(latency);
    }

    /// Records requests without a response at their age, the least that their latency can be.
    pub fn record_age(&mut self, age: Age) {
        self.times.latency.saturating_record_n(age.latency, age.count);
        self.times.unanswered.saturating_record_n(age.latency, age.count);
        self.times.response.saturating_record_n(age.response, age.count);
    }

    /// Counts a failure of this kind, at the address with this index in the target.
    pub fn count_error(&mut self, address: usize, kind: fn(&mut Errors) -> &mut u64) {
        *kind(&mut self.errors) += 1;
        *kind(self.errors_at.entry(address).or_default()) += 1;
    }

    /// Adds the results of another worker or of another interval.
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
