//! Longest time in which no response came although requests waited.
//!
//! Each worker keeps the long pauses between its responses; the run was silent while the pauses of
//! all workers overlapped. A response therefore costs one comparison and one store. Counts of
//! responses per short interval were rejected: a run over a number of requests has no known length,
//! and the limits of a pause would be known only to the length of an interval.

use std::time::Duration;

use crate::measurement::Silence;

/// Shortest pause that is kept, in nanoseconds: half of the length that the check warns of. A
/// worker that does not check its events for this long was asleep; it normally checks every 10 ms.
const SHORTEST_PAUSE: u64 = 50_000_000;

/// The long pauses of one worker, warm-up included.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    /// Pauses between two responses.
    unanswered: Vec<Pause>,
    /// Pauses between two checks of the worker for events. The machine gave it no processor, so it
    /// could not notice a response.
    asleep: Vec<Pause>,
    last_response: u64,
    /// Intended send time of the earliest request that failed since the last response.
    first_failed: Option<u64>,
    /// Time of the worker's last check for events; `None` before its first check.
    awake_at: Option<u64>,
}

impl Pauses {
    /// Returns true if a response at `now` ends a pause long enough for [`Pauses::end_pause`] to
    /// keep.
    pub fn is_long(&self, now: u64) -> bool {
        now.saturating_sub(self.last_response) >= SHORTEST_PAUSE
    }

    /// Keeps the time since the last response as a pause. `waiting_since` is the intended send time
    /// of the earliest request that waits at the end of the pause. Requests that failed within the
    /// pause waited, too.
    pub fn end_pause(&mut self, end: u64, waiting_since: Option<u64>) {
        let first_due = waiting_since.into_iter().chain(self.first_failed).min();
        let waiting_since = first_due.unwrap_or(u64::MAX);
        self.unanswered.push(Pause { begin: self.last_response, end, waiting_since });
    }

    pub fn note_response(&mut self, now: u64) {
        self.last_response = now;
        self.first_failed = None;
    }

    /// Notes the failure of a request that was due at `intended`.
    pub fn note_failure(&mut self, intended: u64) {
        self.first_failed = Some(self.first_failed.map_or(intended, |first| first.min(intended)));
    }

    /// Notes that the worker checks its events. The first call starts the count, because set-up
    /// does not count as sleep.
    pub fn note_awake(&mut self, now: u64) {
        let begin = self.awake_at.replace(now).unwrap_or(now);
        if now.saturating_sub(begin) >= SHORTEST_PAUSE {
            self.asleep.push(Pause { begin, end: now, waiting_since: 0 });
        }
    }
}

/// A time without a response, or in which the worker did not run, in nanoseconds of the run's
/// clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pause {
    /// Time of the response, or of the check for events, before the pause.
    begin: u64,
    /// Time of the response or check that ended it; `u64::MAX` if there was none.
    end: u64,
    /// Time at which the first request began to wait in this pause; `u64::MAX` if no request
    /// waited, 0 for pauses whose requests are not considered.
    waiting_since: u64,
}

impl Pause {
    fn waiting_begin(self) -> u64 {
        self.begin.max(self.waiting_since)
    }

    /// Returns the time for which requests waited in the pause.
    fn length(self) -> u64 {
        self.end.saturating_sub(self.waiting_begin())
    }

    /// Returns the part that both pauses share.
    fn overlap(self, other: Self) -> Self {
        Self {
            begin: self.begin.max(other.begin),
            end: self.end.min(other.end),
            waiting_since: self.waiting_since.min(other.waiting_since),
        }
    }
}

/// Returns the longest silence of a run within its window, from the pauses of each worker.
pub(crate) fn longest<'a>(
    workers: impl Iterator<Item = &'a Pauses> + Clone,
    (begin, end): (u64, u64),
) -> Silence {
    let window = Pause { begin, end, waiting_since: u64::MAX };
    let silences = common(window, workers.clone().map(|worker| &*worker.unanswered));
    let is_silence = |pause: &Pause| pause.length() > 0;
    let longest = silences.into_iter().filter(is_silence).max_by_key(|pause| pause.length());
    let Some(longest) = longest else { return Silence::default() };
    let silence = Pause { begin: longest.waiting_begin(), ..longest };
    // One worker that is awake is enough to notice a response.
    let sleeps = common(silence, workers.map(|worker| &*worker.asleep));
    let asleep: u64 = sleeps.into_iter().map(Pause::length).sum();
    Silence {
        begin: Duration::from_nanos(silence.begin - begin),
        length: Duration::from_nanos(silence.length()),
        awake: Duration::from_nanos(silence.length() - asleep),
    }
}

/// Returns the parts of `within` that are a pause of every worker.
fn common<'a>(within: Pause, workers: impl Iterator<Item = &'a [Pause]>) -> Vec<Pause> {
    workers.fold(vec![within], |common, pauses| overlaps(&common, pauses))
}

/// Returns the times that are a pause on both sides. The pauses of each side are in order and do
/// not overlap.
fn overlaps(mut left: &[Pause], mut right: &[Pause]) -> Vec<Pause> {
    let mut both = Vec::new();
    while let ([a, behind_a @ ..], [b, behind_b @ ..]) = (left, right) {
        let overlap = a.overlap(*b);
        if overlap.begin < overlap.end {
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

    const WINDOW: (u64, u64) = (100, 200);

    /// Returns a pause during all of which a request waits.
    fn pause(begin: u64, end: u64) -> Pause {
        Pause { begin, end, waiting_since: 0 }
    }

    fn worker(unanswered: &[Pause], asleep: &[Pause]) -> Pauses {
        Pauses { unanswered: unanswered.to_vec(), asleep: asleep.to_vec(), ..Pauses::default() }
    }

    fn silence(workers: &[&[Pause]]) -> (u64, u64) {
        let workers: Vec<_> = workers.iter().map(|pauses| worker(pauses, &[])).collect();
        let Silence { begin, length, .. } = longest(workers.iter(), WINDOW);
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
    fn a_run_is_silent_while_all_of_its_workers_are() {
        let first = [pause(110, 150), pause(160, 190)];
        assert_eq!(silence(&[&first, &[pause(120, 180)]]), (20, 30));
        assert_eq!(silence(&[&first, &[]]), (0, 0));
    }

    #[test]
    fn a_pause_is_a_silence_only_while_a_request_waits_on_any_worker() {
        let without = Pause { waiting_since: u64::MAX, ..pause(110, 150) };
        assert_eq!(silence(&[&[without]]), (0, 0));
        let waiting = Pause { waiting_since: 130, ..pause(110, 150) };
        assert_eq!(silence(&[&[without], &[waiting]]), (30, 20));
    }

    /// Returns the awake part of a silence from 110 to 150, for workers that sleep at the given
    /// times.
    fn awake(asleep: &[&[Pause]]) -> u128 {
        let silent = [pause(110, 150)];
        let workers: Vec<_> = asleep.iter().map(|asleep| worker(&silent, asleep)).collect();
        longest(workers.iter(), WINDOW).awake.as_nanos()
    }

    #[test]
    fn only_time_in_which_all_workers_sleep_counts_as_asleep() {
        assert_eq!(awake(&[&[]]), 40);
        assert_eq!(awake(&[&[pause(115, 140)]]), 15);
        assert_eq!(awake(&[&[pause(115, 120), pause(130, 140)]]), 25);
        assert_eq!(awake(&[&[pause(115, 140)], &[pause(130, 145)]]), 30);
        assert_eq!(awake(&[&[pause(112, 128)], &[pause(130, 145)]]), 40);
        assert_eq!(awake(&[&[pause(115, 140)], &[]]), 40);
    }

    #[test]
    fn sleep_outside_of_the_silence_is_not_subtracted() {
        assert_eq!(awake(&[&[pause(0, 105), pause(160, 190)]]), 40);
        assert_eq!(awake(&[&[pause(0, 120), pause(140, 190)]]), 20);
        let warm_up = worker(&[pause(20, 130)], &[pause(20, 95)]);
        assert_eq!(longest([&warm_up].into_iter(), WINDOW).awake.as_nanos(), 30);
        let waiting = Pause { waiting_since: 130, ..pause(110, 150) };
        let unasked = worker(&[waiting], &[pause(110, 125)]);
        assert_eq!(longest([&unasked].into_iter(), WINDOW).awake.as_nanos(), 20);
    }

    #[test]
    fn a_run_that_never_began_has_no_silence() {
        assert_eq!(longest([].into_iter(), (u64::MAX, 0)), Silence::default());
        let unanswered = worker(&[pause(0, u64::MAX)], &[]);
        assert_eq!(longest([&unanswered].into_iter(), (u64::MAX, u64::MAX)), Silence::default());
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn a_worker_sleeps_between_distant_checks_of_its_events_and_not_in_set_up() {
        let mut pauses = Pauses::default();
        for at_ms in [3_000, 3_010, 3_059, 3_109, 3_119] {
            pauses.note_awake(at_ms * MS);
        }
        assert_eq!(pauses.asleep, [pause(3_059 * MS, 3_109 * MS)]);
    }

    /// Returns the beginning and the length, in milliseconds, of the silence between a response at
    /// 1 s and one at 61 s. Requests were due at the given times and failed, and one waits at the
    /// end.
    fn with_failures(failed_ms: &[u64]) -> (u128, u128) {
        let mut pauses = Pauses::default();
        pauses.note_failure(500 * MS);
        pauses.note_response(1_000 * MS);
        for at_ms in failed_ms {
            pauses.note_failure(at_ms * MS);
        }
        assert!(pauses.is_long(61_000 * MS));
        pauses.end_pause(61_000 * MS, Some(56_000 * MS));
        let silence = longest([&pauses].into_iter(), (0, 100_000 * MS));
        (silence.begin.as_millis(), silence.length.as_millis())
    }

    #[test]
    fn requests_that_failed_within_a_pause_waited_in_it() {
        assert_eq!(with_failures(&[]), (56_000, 5_000));
        assert_eq!(with_failures(&[7_000, 2_000, 30_000]), (2_000, 59_000));
    }

    #[test]
    fn a_pause_without_any_request_is_no_silence() {
        let mut pauses = Pauses::default();
        pauses.note_response(1_000 * MS);
        assert!(!pauses.is_long(1_049 * MS));
        pauses.end_pause(61_000 * MS, None);
        assert_eq!(longest([&pauses].into_iter(), (0, 100_000 * MS)), Silence::default());
    }
}
