//! The longest time in which nothing was answered although requests waited.
//!
//! Each worker keeps those pauses between its answers that are long; the run was silent where the
//! pauses of all workers overlap. So an answer costs a comparison and a store. Counts of answers
//! per short stretch were rejected: the length of a run of so many requests is not known ahead, and
//! a pause would be known to a stretch only.

use std::time::Duration;

use crate::measurement::Silence;

/// Pauses below this are not kept, in nanoseconds: half of what is told of. A worker that does not
/// come to its events for as long stood still; it looks up every 10 ms.
pub(crate) const SHORTEST_PAUSE: u64 = 50_000_000;

/// A time without an answer, in nanoseconds of the clock of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    /// The answer before it.
    pub begin: u64,
    /// The answer that ended it; `u64::MAX` where none did.
    pub end: u64,
    /// Since when one or more requests waited in it; `u64::MAX` where none did.
    pub waiting_since: u64,
    /// Of it, how long the worker itself stood still.
    pub asleep: u64,
}

impl Pause {
    fn length(self) -> u64 {
        self.end.saturating_sub(self.begin.max(self.waiting_since))
    }

    /// The time that is a part of both.
    fn overlap(self, other: Self) -> Self {
        Self {
            begin: self.begin.max(other.begin),
            end: self.end.min(other.end),
            waiting_since: self.waiting_since.min(other.waiting_since),
            // One worker that is awake suffices to hear an answer.
            asleep: self.asleep.min(other.asleep),
        }
    }
}

/// The longest silence of a run within its window, of the pauses of each worker in their order.
pub(crate) fn longest<'a>(
    mut workers: impl Iterator<Item = &'a [Pause]>,
    (begin, end): (u64, u64),
) -> Silence {
    let window = Pause { begin, end, waiting_since: u64::MAX, asleep: u64::MAX };
    let first = workers.next().unwrap_or_default();
    let common = workers.fold(overlaps(&[window], first), |common, pauses| overlaps(&common, pauses));
    let Some(longest) = common.into_iter().max_by_key(|pause| pause.length()) else {
        return Silence::default();
    };
    Silence {
        begin: Duration::from_nanos(longest.begin.max(longest.waiting_since) - begin),
        length: Duration::from_nanos(longest.length()),
        awake: Duration::from_nanos(longest.length().saturating_sub(longest.asleep)),
    }
}

/// The times that are a pause on both sides. Those of each side are in order and do not overlap.
fn overlaps(mut left: &[Pause], mut right: &[Pause]) -> Vec<Pause> {
    let mut both = Vec::new();
    while let ([a, behind_a @ ..], [b, behind_b @ ..]) = (left, right) {
        let overlap = a.overlap(*b);
        if overlap.length() > 0 || overlap.begin < overlap.end {
            both.push(overlap);
        }
        if a.end <= b.end {
            left = behind_a;
        } else {
            right = behind_b;
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pause in which a request waits from its begin on.
    fn pause(begin: u64, end: u64) -> Pause {
        Pause { begin, end, waiting_since: 0, asleep: 0 }
    }

    fn silence(workers: &[&[Pause]]) -> (u64, u64) {
        let Silence { begin, length, .. } = longest(workers.iter().copied(), (100, 200));
        (begin.as_nanos() as u64, length.as_nanos() as u64)
    }

    #[test]
    fn the_longest_pause_counts_and_only_what_lies_within_the_window() {
        assert_eq!(silence(&[&[pause(110, 120), pause(140, 170), pause(190, u64::MAX)]]), (40, 30));
        assert_eq!(silence(&[&[pause(0, 130)]]), (0, 30));
        assert_eq!(silence(&[&[pause(180, u64::MAX)]]), (80, 20));
        assert_eq!(silence(&[&[pause(0, 90), pause(200, u64::MAX)]]), (0, 0));
    }

    #[test]
    fn a_run_is_silent_where_all_of_its_workers_are() {
        let first = [pause(110, 150), pause(160, 190)];
        assert_eq!(silence(&[&first, &[pause(120, 180)]]), (20, 30));
        assert_eq!(silence(&[&first, &[]]), (0, 0));
    }

    #[test]
    fn a_pause_is_a_silence_only_while_a_request_waits_on_any_worker() {
        let without = Pause { waiting_since: u64::MAX, ..pause(110, 150) };
        assert_eq!(silence(&[&[without]]).1, 0);
        let waiting = Pause { waiting_since: 130, ..pause(110, 150) };
        assert_eq!(silence(&[&[without], &[waiting]]), (30, 20));
    }

    #[test]
    fn what_all_workers_slept_is_told_apart() {
        let asleep = Pause { asleep: 25, ..pause(110, 150) };
        let awake = |pauses: [Pause; 2]| {
            let workers = [&pauses[..1], &pauses[1..]];
            longest(workers.into_iter(), (100, 200)).awake.as_nanos()
        };
        assert_eq!(awake([asleep, asleep]), 15);
        assert_eq!(awake([asleep, pause(110, 150)]), 40);
    }

    #[test]
    fn a_run_that_never_began_has_no_silence() {
        assert_eq!(longest([].into_iter(), (u64::MAX, 0)).length, Duration::ZERO);
        let pauses = [pause(0, u64::MAX)];
        let silence = longest([pauses.as_slice()].into_iter(), (u64::MAX, u64::MAX));
        assert_eq!(silence.length, Duration::ZERO);
    }
}
