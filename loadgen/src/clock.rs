//! Clock of a run: all times of its workers are nanoseconds since its beginning, so that they can
//! be compared, and fit into one word.

use std::time::{Duration, Instant};

/// Clock of a run: nanoseconds since its beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Creates a clock that begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn now(self) -> u64 {
        self.at(Instant::now())
    }

    fn at(self, instant: Instant) -> u64 {
        u64::try_from(instant.duration_since(self.0).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Returns the instant at which the clock shows this time.
    pub fn instant(self, ns: u64) -> Instant {
        self.0 + Duration::from_nanos(ns)
    }
}

/// Returns a length of time in nanoseconds.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
