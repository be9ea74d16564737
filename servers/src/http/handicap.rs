//! A known handicap for every request, to prove that the regression gate finds it: only in builds
//! with the feature `handicap`, which no measurement of a model uses.
//!
//! `C10K_HANDICAP` sets the handicap: `loops=N` makes each request run an empty loop of N turns,
//! which costs CPU time and instructions; `stall=EVERY:US` makes each EVERY-th request block its
//! thread for US microseconds, which costs no CPU time and slows only the tail of the latencies.

use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Extra cost of every request.
#[derive(Debug, Default, PartialEq, Eq)]
struct Handicap {
    loops: u64,
    /// A request stalls once per this many requests; 0 for never.
    stall_every: u64,
    stall: Duration,
}

static HANDICAP: LazyLock<Handicap> =
    LazyLock::new(|| Handicap::parse(&std::env::var("C10K_HANDICAP").unwrap_or_default()));

/// Requests of this process so far.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// Applies the handicap to one request.
pub(super) fn take() {
    for turn in 0..HANDICAP.loops {
        black_box(turn);
    }
    let is_due = |request: u64| request % HANDICAP.stall_every == HANDICAP.stall_every - 1;
    if HANDICAP.stall_every > 0 && is_due(REQUESTS.fetch_add(1, Ordering::Relaxed)) {
        thread::sleep(HANDICAP.stall);
    }
}

impl Handicap {
    /// Parses words such as `loops=100 stall=8000:1000`. A typing error panics, so that the test
    /// fails.
    fn parse(text: &str) -> Self {
        let mut handicap = Self::default();
        for word in text.split_whitespace() {
            let number =
                |text: &str| text.parse().unwrap_or_else(|_| panic!("C10K_HANDICAP: `{word}`"));
            match word.split_once('=') {
                Some(("loops", loops)) => handicap.loops = number(loops),
                Some(("stall", stall)) => {
                    let (every, us) = stall.split_once(':').unwrap_or((stall, ""));
                    handicap.stall_every = number(every);
                    handicap.stall = Duration::from_micros(number(us));
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
    fn reads_both_kinds() {
        let stall = Duration::from_millis(1);
        let both = Handicap { loops: 100, stall_every: 8000, stall };
        assert_eq!(Handicap::parse("loops=100 stall=8000:1000"), both);
        assert_eq!(Handicap::parse(""), Handicap::default());
    }
}
