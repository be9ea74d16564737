//! `/mixed`: most requests are cheap, some wait and some compute, drawn from a seed.
//!
//! ```text
//! /mixed?wait=9:10000&spin=1:10000&seed=1     9 % wait 10 ms, 1 % compute 10 ms, 90 % do neither
//! ```
//!
//! The n-th such request that a server gets is drawn from the seed and n, so that every server gets
//! the same requests in the same order, no matter which of its processes and threads answers. The
//! field `Server-Timing` of a response names the kind of its request, so that a load generator can
//! tell how much the other requests delay the cheap ones.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// The longest time of `/spin`, `/sleep` and `/wait`, so that a typing error does not block a
/// server for an hour.
pub const MAX_HANDLER_TIME: Duration = Duration::from_mins(1);

/// Mix of a target without a query.
const DEFAULT: Mix = Mix {
    wait: Share { of_a_million: 90_000, time: Duration::from_millis(10) },
    spin: Share { of_a_million: 10_000, time: Duration::from_millis(10) },
    seed: 1,
};

const MILLION: u32 = 1_000_000;

/// Shares of the kinds of requests, and the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    wait: Share,
    spin: Share,
    seed: u64,
}

/// Share of one kind of request, and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    of_a_million: u32,
    time: Duration,
}

/// Kind and time drawn for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// Kind of the request.
    pub kind: Kind,
    /// Time that it waits or computes.
    pub time: Duration,
}

/// Kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Neither waits nor computes.
    Cheap,
    /// Waits, as `/wait` does.
    Wait,
    /// Burns CPU time, as `/spin` does.
    Spin,
}

impl Kind {
    /// Returns the header field that names the kind (Server Timing, W3C).
    pub fn field(self) -> &'static str {
        match self {
            Self::Cheap => "Server-Timing: cheap\r\n",
            Self::Wait => "Server-Timing: wait\r\n",
            Self::Spin => "Server-Timing: spin\r\n",
        }
    }
}

impl Mix {
    /// Parses the query of a target; returns `None` if it does not describe a mix.
    pub fn parse(query: &[u8]) -> Option<Self> {
        let mut mix = DEFAULT;
        let none = Share { of_a_million: 0, time: Duration::ZERO };
        let query = std::str::from_utf8(query).ok()?;
        if !query.is_empty() {
            (mix.wait, mix.spin) = (none, none);
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=')? {
                ("wait", share) => mix.wait = Share::parse(share)?,
                ("spin", share) => mix.spin = Share::parse(share)?,
                ("seed", seed) => mix.seed = seed.parse().ok()?,
                _ => return None,
            }
        }
        (mix.wait.of_a_million + mix.spin.of_a_million <= MILLION).then_some(mix)
    }

    /// Draws the kind and time of the request with this number.
    pub fn draw(&self, number: u64) -> Drawn {
        let drawn = (u128::from(mixed(self.seed, number)) * u128::from(MILLION)) >> 64;
        let drawn = drawn as u32;
        let (wait, spin) = (self.wait, self.spin);
        if drawn < wait.of_a_million {
            Drawn { kind: Kind::Wait, time: wait.time }
        } else if drawn - wait.of_a_million < spin.of_a_million {
            Drawn { kind: Kind::Spin, time: spin.time }
        } else {
            Drawn { kind: Kind::Cheap, time: Duration::ZERO }
        }
    }
}

impl Share {
    /// Reads `PERCENT:MICROSECONDS`.
    fn parse(text: &str) -> Option<Self> {
        let (percent, time) = text.split_once(':')?;
        let percent: f64 =
            percent.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))?;
        let time = Duration::from_micros(time.parse().ok()?);
        let of_a_million = (percent / 100.0 * f64::from(MILLION)).round() as u32;
        (time <= MAX_HANDLER_TIME).then_some(Self { of_a_million, time })
    }
}

/// Returns a pseudo-random number: `SplitMix64` (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014), which computes any element of the sequence directly.
fn mixed(seed: u64, number: u64) -> u64 {
    let mut bits = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Counter of requests over all processes that are forked from this one.
#[derive(Debug)]
pub struct Counter(NonNull<AtomicU64>);

// SAFETY: it points to an atomic number that exists for as long as the process.
unsafe impl Send for Counter {}
// SAFETY: it points to an atomic number that exists for as long as the process.
unsafe impl Sync for Counter {}

impl Counter {
    /// Creates a counter at zero. Where there is no memory that processes can share, each process
    /// counts for itself.
    pub fn at_zero() -> Self {
        let length = size_of::<AtomicU64>();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the address, so the mapping replaces nothing.
        let shared =
            unsafe { mmap_anonymous(ptr::null_mut(), length, protection, MapFlags::SHARED) };
        let shared = shared.ok().and_then(|memory| NonNull::new(memory.cast::<AtomicU64>()));
        Self(shared.unwrap_or_else(|| NonNull::from(Box::leak(Box::default()))))
    }

    /// Returns the next number.
    pub fn next(&self) -> u64 {
        // SAFETY: the number is aligned, since a page is, and zeros are a valid number; the memory
        // is never unmapped.
        unsafe { self.0.as_ref() }.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    #[test]
    fn shares_are_what_the_query_says() {
        let mix = Mix::parse(b"wait=20:1000&spin=5.5:300&seed=7").unwrap();
        let drawn: Vec<Drawn> = (0..100_000).map(|number| mix.draw(number)).collect();
        for (kind, percent, time) in
            [(Kind::Wait, 20.0, 1000), (Kind::Spin, 5.5, 300), (Kind::Cheap, 74.5, 0)]
        {
            let of_kind = drawn.iter().filter(|drawn| drawn.kind == kind);
            let found = of_kind.clone().count() as f64 / 1000.0;
            // Six standard deviations of a share of 100,000 draws are less than this bound.
            assert!((found - percent).abs() < 0.9, "{kind:?}: {found} %");
            assert!(of_kind.clone().all(|drawn| drawn.time == time * MICROSECOND), "{kind:?}");
        }
    }

    #[test]
    fn a_request_is_the_same_for_the_same_seed_and_another_for_another() {
        let draw = |seed: &str| -> Vec<Drawn> {
            let mix = Mix::parse(format!("wait=50:1&seed={seed}").as_bytes()).unwrap();
            (0..64).map(|number| mix.draw(number)).collect()
        };
        assert_eq!(draw("7"), draw("7"));
        assert_ne!(draw("7"), draw("8"));
    }

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // The first three numbers of the author's own program,
        // https://prng.di.unimi.it/splitmix64.c, for the seed 1234567.
        let published =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([0, 1, 2].map(|number| mixed(1_234_567, number)), published);
    }

    #[test]
    fn a_query_that_says_something_else_is_none() {
        assert_eq!(Mix::parse(b""), Some(DEFAULT));
        for query in [
            "wait",
            "wait=10",
            "wait=101:5",
            "wait=60:5&spin=41:5",
            "spin=5:99999999999",
            "sleep=5:5",
            "wait=NaN:5",
        ] {
            assert_eq!(Mix::parse(query.as_bytes()), None, "{query}");
        }
    }

    #[test]
    fn numbers_are_counted_once() {
        let counter = Counter::at_zero();
        let numbers: Vec<u64> = std::thread::scope(|scope| {
            let count = || (0..1000).map(|_| counter.next()).collect::<Vec<u64>>();
            let threads = [scope.spawn(count), scope.spawn(count)];
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let mut sorted = numbers;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..2000).collect::<Vec<u64>>());
    }
}
