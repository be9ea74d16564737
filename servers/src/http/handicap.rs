//! A known handicap for every request, to prove that the regression gate finds it: only in builds
//! with the feature `handicap`, which no measurement of a model uses.
//!
//! `C10K_HANDICAP` sets the handicap, in one word or in several:
//!
//! - `loops=N` makes each request run an empty loop of N turns, which costs CPU time and
//!   instructions.
//! - `stall=EVERY:US` makes each EVERY-th request block its thread for US microseconds, which costs
//!   no CPU time and slows only the tail of the latencies. The same share of all requests is slow
//!   on every machine.
//! - `pause=EVERY:MS` makes a request block its thread for MS milliseconds, about once every EVERY
//!   milliseconds of wall time. The same share of the time is lost on every machine. The times from
//!   one pause to the next are exponential, so that the pauses are never in step with the slices of
//!   a gate. Each request also reads the clock.

use std::hash::{BuildHasher, RandomState};
use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Extra cost of every request.
#[derive(Debug, Default, PartialEq, Eq)]
struct Handicap {
    loops: u64,
    /// A request stalls once per this many requests; 0 for never.
    stall_every: u64,
    stall: Duration,
    /// Mean time from the begin of one pause to that of the next; zero for no pause.
    pause_every: Duration,
    pause: Duration,
}

static HANDICAP: LazyLock<Handicap> =
    LazyLock::new(|| Handicap::parse(&std::env::var("C10K_HANDICAP").unwrap_or_default()));

/// Requests of this process so far.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// Time of the first request of this process.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Time of the next pause of this process, in nanoseconds since [`BEGIN`].
static NEXT_PAUSE: LazyLock<AtomicU64> =
    LazyLock::new(|| AtomicU64::new(draw_gap_ns(HANDICAP.pause_every)));

/// Applies the handicap to one request.
pub(super) fn take() {
    for turn in 0..HANDICAP.loops {
        black_box(turn);
    }
    let is_due = |request: u64| request % HANDICAP.stall_every == HANDICAP.stall_every - 1;
    if HANDICAP.stall_every > 0 && is_due(REQUESTS.fetch_add(1, Ordering::Relaxed)) {
        thread::sleep(HANDICAP.stall);
    }
    let every = HANDICAP.pause_every;
    if !every.is_zero() && takes_pause(&NEXT_PAUSE, BEGIN.elapsed().as_nanos() as u64, every) {
        thread::sleep(HANDICAP.pause);
    }
}

/// Returns true if a pause is due and no other request has taken it, and draws the time of the next
/// pause.
fn takes_pause(next_ns: &AtomicU64, now_ns: u64, every: Duration) -> bool {
    let due_ns = next_ns.load(Ordering::Relaxed);
    if now_ns < due_ns {
        return false;
    }
    let following_ns = now_ns + draw_gap_ns(every);
    next_ns.compare_exchange(due_ns, following_ns, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Draws the time from one pause to the next, in nanoseconds, from an exponential distribution. It
/// is at least 1 ns, so that two requests never take the same pause.
fn draw_gap_ns(mean: Duration) -> u64 {
    // A hash with new random keys is a random number. Its upper 53 bits make a fraction above 0 and
    // up to 1.
    let fraction = ((RandomState::new().hash_one(0) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    (mean.as_nanos() as f64 * -fraction.ln()) as u64 + 1
}

impl Handicap {
    /// Parses words such as `loops=100 stall=8000:1000`. A typing error panics, so that the test
    /// fails.
    fn parse(text: &str) -> Self {
        let mut handicap = Self::default();
        for word in text.split_whitespace() {
            let number =
                |text: &str| text.parse().unwrap_or_else(|_| panic!("C10K_HANDICAP: `{word}`"));
            let pair = |text: &str| {
                let (every, length) = text.split_once(':').unwrap_or((text, ""));
                (number(every), number(length))
            };
            match word.split_once('=') {
                Some(("loops", loops)) => handicap.loops = number(loops),
                Some(("stall", stall)) => {
                    let (every, us) = pair(stall);
                    handicap.stall_every = every;
                    handicap.stall = Duration::from_micros(us);
                }
                Some(("pause", pause)) => {
                    let (every_ms, ms) = pair(pause);
                    handicap.pause_every = Duration::from_millis(every_ms);
                    handicap.pause = Duration::from_millis(ms);
                }
                _ => panic!("C10K_HANDICAP: `{word}`"),
            }
        }
        handicap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind() {
        let all = Handicap {
            loops: 100,
            stall_every: 8000,
            stall: Duration::from_millis(1),
            pause_every: Duration::from_secs(1),
            pause: Duration::from_millis(100),
        };
        assert_eq!(Handicap::parse("loops=100 stall=8000:1000 pause=1000:100"), all);
        assert_eq!(Handicap::parse(""), Handicap::default());
    }

    #[test]
    fn one_request_takes_a_pause_that_is_due() {
        let next_ns = AtomicU64::new(5);
        let every = Duration::from_secs(1);
        assert!(!takes_pause(&next_ns, 4, every));
        assert!(takes_pause(&next_ns, 7, every));
        assert!(!takes_pause(&next_ns, 7, every));
        assert!(next_ns.into_inner() > 7);
    }

    #[test]
    fn pauses_are_as_far_apart_as_asked_in_the_mean() {
        let draws = 10_000_u64;
        let sum: u64 = (0..draws).map(|_| draw_gap_ns(Duration::from_secs(1))).sum();
        let mean_s = sum as f64 / draws as f64 / 1e9;
        // Six standard deviations of the mean of 10,000 draws.
        assert!((mean_s - 1.0).abs() < 0.06, "{mean_s}");
    }
}
