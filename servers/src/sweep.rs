//! When an event loop looks for connections that have waited too long.
//!
//! A timer per connection would be moved with every request. Connections here only remember when their clients last did
//! something, and every second or so a loop looks at all of them: at 9,000 that costs less than a request.

use std::time::{Duration, Instant};

use crate::http::Timeouts;

/// How late a connection may be found overdue, as a part of its time.
const PRECISION: u32 = 10;

const LONGEST: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(10);

/// The times at which a loop looks.
#[derive(Debug)]
pub struct Sweep {
    every: Duration,
    next: Instant,
}

impl Sweep {
    pub fn new(timeouts: Timeouts, now: Instant) -> Self {
        let every = Self::period(timeouts);
        Self { every, next: now + every }
    }

    /// How often it is time.
    pub fn period(timeouts: Timeouts) -> Duration {
        (timeouts.head.min(timeouts.idle) / PRECISION).clamp(SHORTEST, LONGEST)
    }

    /// How long a loop may wait until it is time.
    pub fn left(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// Whether it is time, once.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }
}
