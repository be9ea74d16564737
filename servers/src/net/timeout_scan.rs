//! Timeout scan of an event loop: finds connections that have waited too long for their clients.
//!
//! A timer per connection would have to be reset at every request. Instead, a connection only
//! remembers when its client last did something, and about every second a loop checks all of them:
//! with 9,000 connections, that costs less than a request.

use std::time::{Duration, Instant};

use crate::http::Timeouts;

/// Number of scans within one timeout, so that a connection is found overdue at most a tenth of its
/// timeout late.
const PRECISION: u32 = 10;

const LONGEST: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(10);

/// Schedule of the timeout scans of one loop.
#[derive(Debug)]
pub struct TimeoutScan {
    every: Duration,
    next: Instant,
}

impl TimeoutScan {
    pub fn new(timeouts: Timeouts, now: Instant) -> Self {
        let every = Self::period(timeouts);
        Self { every, next: now + every }
    }

    /// Returns the interval between two scans.
    pub fn period(timeouts: Timeouts) -> Duration {
        (timeouts.head.min(timeouts.idle) / PRECISION).clamp(SHORTEST, LONGEST)
    }

    /// Returns the time until the next scan.
    pub fn left(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// Returns true if a scan is due, and schedules the next one.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }
}
