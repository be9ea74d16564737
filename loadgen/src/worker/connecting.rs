//! Order in which the connections of a worker are opened, and opened again after a failure.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use crate::clock::nanos;

/// Connections of one worker that are being opened at the same time, so that a listen backlog is
/// not flooded.
const MAX_CONNECTING: usize = 128;

/// Waits between attempts to connect: the first one, doubled each time, up to the last one.
const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_secs(1);

/// Time for which a run tries to reach its server before it gives up; a server that is just being
/// started takes no longer.
pub(crate) const FIRST_CONNECTION: Duration = Duration::from_secs(1);

/// Queue of the connections that are to be opened, and the number of those that are being opened.
/// Each connection, named by its index, either waits to be opened, waits for another attempt, or is
/// being opened.
#[derive(Debug)]
pub(super) struct Connecting {
    /// Connections to be opened next.
    to_open: VecDeque<usize>,
    /// Connections that wait until a given time for another attempt.
    to_retry: Vec<(u64, usize)>,
    in_progress: usize,
    opened_total: u64,
    /// Beginning of the first attempt that failed; `u64::MAX` if none did.
    first_failed_try: u64,
    last_error: Option<io::Error>,
}

impl Connecting {
    pub fn new() -> Self {
        Self {
            to_open: VecDeque::new(),
            to_retry: Vec::new(),
            in_progress: 0,
            opened_total: 0,
            first_failed_try: u64::MAX,
            last_error: None,
        }
    }

    /// Queues a connection to be opened.
    pub fn push(&mut self, key: usize) {
        self.to_open.push_back(key);
    }

    /// Queues connections whose wait for another attempt is over.
    pub fn retry(&mut self, now: u64) {
        self.to_retry.retain(|&(until, key)| {
            if until <= now {
                self.to_open.push_back(key);
            }
            until > now
        });
    }

    /// Returns true if a queued connection may be opened. The number that are opened at the same
    /// time is limited only until all have started: later, a limit would make requests wait for the
    /// generator.
    pub fn may_open(&self, have_started: bool) -> bool {
        (have_started || self.in_progress < MAX_CONNECTING) && !self.to_open.is_empty()
    }

    /// Takes the next connection from the queue; from now on, it is being opened.
    pub fn begin(&mut self) -> Option<usize> {
        let key = self.to_open.pop_front()?;
        self.in_progress += 1;
        Some(key)
    }

    /// Notes that a connection was established.
    pub fn note_established(&mut self) {
        self.in_progress -= 1;
        self.opened_total += 1;
    }

    /// Notes that a connection could not be made: the attempt began at `began`, and is the last of
    /// `failures` in a row. Another one follows.
    pub fn note_failure(
        &mut self,
        key: usize,
        began: u64,
        failures: u32,
        error: io::Error,
        now: u64,
    ) {
        self.in_progress -= 1;
        self.first_failed_try = self.first_failed_try.min(began);
        self.last_error = Some(error);
        let wait = FIRST_RETRY.saturating_mul(1 << (failures - 1).min(16)).min(LAST_RETRY);
        self.to_retry.push((now + nanos(wait), key));
    }

    /// Returns the number of connections that were established.
    pub fn opened_total(&self) -> u64 {
        self.opened_total
    }

    /// Returns true if any attempt failed.
    pub fn has_failed(&self) -> bool {
        self.first_failed_try != u64::MAX
    }

    /// Returns true if attempts have failed for so long that the server is assumed to be absent.
    pub fn has_failed_for_long(&self, now: u64) -> bool {
        now >= self.first_failed_try.saturating_add(nanos(FIRST_CONNECTION))
    }

    /// Takes the error of the last attempt that failed.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.last_error.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn failed_attempts_wait_longer_each_time_and_at_most_a_second() {
        let mut connecting = Connecting::new();
        let mut now = 0;
        for (failures, wait_ms) in [(1, 10), (2, 20), (3, 40), (8, 1000), (60, 1000)] {
            connecting.push(7);
            assert_eq!(connecting.begin(), Some(7));
            connecting.note_failure(7, now, failures, io::ErrorKind::ConnectionRefused.into(), now);
            connecting.retry(now + wait_ms * MS - 1);
            assert!(!connecting.may_open(true));
            now += wait_ms * MS;
            connecting.retry(now);
            assert_eq!(connecting.begin(), Some(7));
            connecting.note_established();
        }
        assert_eq!(connecting.opened_total(), 5);
    }

    #[test]
    fn as_many_as_fit_a_backlog_are_opened_at_the_same_time_until_all_have_started() {
        let mut connecting = Connecting::new();
        for key in 0..=MAX_CONNECTING {
            connecting.push(key);
        }
        for key in 0..MAX_CONNECTING {
            assert!(connecting.may_open(false));
            assert_eq!(connecting.begin(), Some(key));
        }
        assert!(!connecting.may_open(false) && connecting.may_open(true));
        connecting.note_established();
        assert!(connecting.may_open(false));
    }
}
