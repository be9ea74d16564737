//! Timers of an event loop for handlers that wait for a time, the earliest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Queue of times, each with the item that waits for it.
#[derive(Debug)]
pub struct Timers<T>(BinaryHeap<Reverse<(Instant, T)>>);

impl<T: Ord> Default for Timers<T> {
    fn default() -> Self {
        Self(BinaryHeap::new())
    }
}

impl<T: Ord> Timers<T> {
    /// Adds a timer.
    pub fn add(&mut self, until: Instant, item: T) {
        self.0.push(Reverse((until, item)));
    }

    /// Returns the earliest time.
    pub fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((until, _))| *until)
    }

    /// Takes the earliest timer that is due at `now`, if there is one.
    pub fn take_due(&mut self, now: Instant) -> Option<T> {
        self.next().filter(|&until| until <= now)?;
        self.0.pop().map(|Reverse((_, item))| item)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_due_timer_is_taken_once_and_the_earliest_comes_first() {
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let mut timers = Timers::default();
        for (until, item) in [(30, 'c'), (10, 'a'), (20, 'b')] {
            timers.add(at(until), item);
        }
        assert_eq!((timers.next(), timers.take_due(at(9))), (Some(at(10)), None));
        assert_eq!((timers.take_due(at(20)), timers.take_due(at(20))), (Some('a'), Some('b')));
        assert_eq!((timers.take_due(at(20)), timers.next()), (None, Some(at(30))));
    }
}
