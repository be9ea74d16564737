//! Beginning and end of the measured part, on which the workers of a run agree.
//!
//! A worker reports twice: when its idle connections are open, so that none sends a request while
//! others still open theirs, and when its other connections are ready. The last report of each kind
//! takes effect.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Limits of the measured part, in nanoseconds of the run's clock; `u64::MAX` while a time is not
/// known.
#[derive(Debug)]
pub(crate) struct Timeline {
    opening_idle: AtomicUsize,
    may_send: AtomicBool,
    workers_to_come: AtomicUsize,
    begin: AtomicU64,
    end: AtomicU64,
}

impl Timeline {
    /// Creates the timeline of this number of workers, and of `opening_idle` threads that open
    /// connections before any request is sent.
    pub fn new(workers: usize, opening_idle: usize) -> Self {
        Self {
            opening_idle: AtomicUsize::new(opening_idle),
            may_send: AtomicBool::new(false),
            workers_to_come: AtomicUsize::new(workers),
            begin: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(u64::MAX),
        }
    }

    /// Notes that a thread has opened its idle connections, if it has any. The last such report
    /// lets the workers send requests. If requests count from the first one on, it also begins the
    /// measured part.
    pub fn note_idle(&self, counts_all: bool, now: u64) {
        if self.opening_idle.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        if counts_all {
            self.begin.store(now, Ordering::Release);
        }
        // Written last: a worker that sees it sees the beginning, too.
        self.may_send.store(true, Ordering::Release);
    }

    /// Returns true if the idle connections of all threads are open.
    pub fn may_send(&self) -> bool {
        self.may_send.load(Ordering::Acquire)
    }

    /// Notes that the connections of a worker are ready. The last such report sets the beginning of
    /// the measured part, unless it has begun, and its end `length` later.
    pub fn note_ready(&self, begin: u64, length: Option<u64>) {
        if self.workers_to_come.fetch_sub(1, Ordering::AcqRel) == 1 {
            if let Some(length) = length {
                self.end.store(begin + length, Ordering::Release);
            }
            let _ =
                self.begin.compare_exchange(u64::MAX, begin, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Returns the beginning and the end of the measured part, as far as they are known.
    pub fn window(&self) -> (u64, u64) {
        // The beginning is written last: a worker that sees it sees the end, too.
        let begin = self.begin.load(Ordering::Acquire);
        (begin, self.end.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_sent_when_the_last_thread_has_its_idle_connections() {
        let timeline = Timeline::new(1, 2);
        timeline.note_idle(false, 5);
        assert!(!timeline.may_send());
        timeline.note_idle(false, 7);
        assert!(timeline.may_send());
        assert_eq!(timeline.window(), (u64::MAX, u64::MAX));
    }

    #[test]
    fn the_last_worker_that_is_ready_sets_the_measured_part() {
        let timeline = Timeline::new(2, 2);
        timeline.note_ready(100, Some(50));
        assert_eq!(timeline.window(), (u64::MAX, u64::MAX));
        timeline.note_ready(120, Some(50));
        assert_eq!(timeline.window(), (120, 170));
    }

    #[test]
    fn a_part_in_which_every_request_counts_begins_before_the_first_one() {
        let timeline = Timeline::new(1, 1);
        timeline.note_idle(true, 7);
        timeline.note_ready(100, None);
        assert_eq!(timeline.window(), (7, u64::MAX));
    }
}
