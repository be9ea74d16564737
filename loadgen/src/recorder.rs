//! What one worker saw in one stretch of time. Stretches are merged into the whole at the end.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::measurement::{Bytes, Distributions, Errors, Times};

/// The longest time that is told apart, in nanoseconds: 10 minutes. Longer ones count as that.
const LONGEST_NS: u64 = 600_000_000_000;

/// Three significant digits: 0.1 % of the value, the field's habit.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Counts and times of one worker in one stretch of time.
#[derive(Debug, Clone)]
pub struct Recorder {
    /// The distributions.
    pub times: Distributions,
    /// Requests with a whole answer of a good status.
    pub completed: u64,
    /// Of those, how many were redirections.
    pub redirected: u64,
    /// Everything that went wrong.
    pub errors: Errors,
    /// Octets that crossed the sockets.
    pub bytes: Bytes,
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
            },
            completed: 0,
            redirected: 0,
            errors: Errors::default(),
            bytes: Bytes::default(),
        }
    }
}

impl Recorder {
    /// Enters a request that was answered well; `connect_took` is there for the first one of a connection.
    pub fn record(
        &mut self,
        intended: u64,
        sent: u64,
        first_byte: u64,
        done: u64,
        connect_took: Option<u64>,
    ) {
        self.completed += 1;
        self.times.latency.saturating_record(done - intended);
        self.times.service.saturating_record(done - sent);
        self.times.first_byte.saturating_record(first_byte - sent);
        if let Some(took) = connect_took {
            self.times.connect.saturating_record(took);
        }
    }

    /// Adds what another worker, or another stretch of time, saw.
    pub fn merge(&mut self, other: &Self) {
        for ((_, mine), (_, theirs)) in self.times.named_mut().into_iter().zip(other.times.named()) {
            if !theirs.is_empty() {
                mine.add(theirs).expect("all distributions have the same bounds");
            }
        }
        self.completed += other.completed;
        self.redirected += other.redirected;
        self.errors += other.errors;
        self.bytes.read += other.bytes.read;
        self.bytes.written += other.bytes.written;
    }
}
