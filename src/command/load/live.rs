//! The line that `c10k load` keeps on a terminal while it measures.

use std::time::Duration;

use c10k_loadgen::{Interval, Recorder, percentile};

/// Time between two updates; a number that changes faster cannot be read.
const UPDATE_EVERY: Duration = Duration::from_secs(1);

/// Requests and time since the last update.
#[derive(Debug, Default)]
pub(super) struct LiveLine {
    seen: Recorder,
    length: Duration,
}

impl LiveLine {
    /// Adds an interval; returns the new line if it is time for one.
    pub fn update(&mut self, interval: &Interval) -> Option<String> {
        self.seen.merge(&interval.seen);
        self.length += interval.length;
        if self.length < UPDATE_EVERY {
            return None;
        }
        let Self { seen, length } = std::mem::take(self);
        Some(format!(
            "{:4.0} s  {:9.0} requests/s  p50 {}  p99 {}  errors {}",
            (interval.begin + interval.length).as_secs_f64(),
            seen.completed as f64 / length.as_secs_f64(),
            microseconds(&seen, 0.5),
            microseconds(&seen, 0.99),
            seen.errors.total()
        ))
    }
}

/// Formats a percentile of the latency, or a dash if too few requests ended for it or too many
/// failed.
fn microseconds(seen: &Recorder, quantile: f64) -> String {
    let latency = &seen.times.latency;
    let known_to = percentile::known_to(seen.errors.without_a_time(), latency.len());
    if quantile > percentile::last_known(latency.len(), known_to) {
        return "–".into();
    }
    format!("{:.0} µs", latency.value_at_quantile(quantile) as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an interval with this many requests of 1 ms.
    fn interval(number: u32, length: Duration, completed: u64) -> Interval {
        let mut seen = Box::<Recorder>::default();
        seen.completed = completed;
        seen.times.latency.record_n(1_000_000, completed).unwrap();
        Interval { number: number.into(), begin: length * number, length, seen }
    }

    #[test]
    fn a_second_is_a_line() {
        let line = LiveLine::default().update(&interval(2, UPDATE_EVERY, 5000)).unwrap();
        assert_eq!(line, "   3 s       5000 requests/s  p50 1000 µs  p99 1000 µs  errors 0");
    }

    #[test]
    fn a_value_that_failures_leave_unknown_is_a_dash() {
        let mut interval = interval(2, UPDATE_EVERY, 5000);
        interval.seen.errors.reset = 100;
        let line = LiveLine::default().update(&interval).unwrap();
        assert_eq!(line, "   3 s       5000 requests/s  p50 1000 µs  p99 –  errors 100");
    }

    #[test]
    fn shorter_intervals_are_put_together_to_a_line_a_second() {
        let mut live = LiveLine::default();
        let quarter = Duration::from_millis(250);
        let lines = (0..8).filter_map(|number| live.update(&interval(number, quarter, 100)));
        let lines = lines.collect::<Vec<_>>();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], "   2 s        400 requests/s  p50 1000 µs  p99 –  errors 0");
    }

    #[test]
    fn the_rest_of_a_second_at_the_end_is_no_rate() {
        assert_eq!(LiveLine::default().update(&interval(0, Duration::ZERO, 5)), None);
    }
}
