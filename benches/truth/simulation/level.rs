//! Levels over time. The latencies of a simulated server, or its throughput, are multiplied by a
//! level.

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Function from the time since the beginning of the measured part, in seconds, to the level at
/// that time. Times ascend.
pub type Level = Box<dyn FnMut(f64) -> f64>;

/// Returns a level that is always 1.
pub fn steady() -> Level {
    Box::new(|_| 1.0)
}

/// Returns a level that is `before` up to `at_s` seconds, and `after` from there on: 1 and 0.5
/// stand for a server whose speed halves.
pub fn step(at_s: f64, before: f64, after: f64) -> Level {
    Box::new(move |now_s| if now_s < at_s { before } else { after })
}

/// Returns a level that changes evenly from `first` at the start to `last` after `length_s`
/// seconds.
pub fn slide(length_s: f64, first: f64, last: f64) -> Level {
    Box::new(move |now_s| first + (last - first) * (now_s / length_s).clamp(0.0, 1.0))
}

/// Returns a lognormal level with a median of 1 that changes each second. Its logarithm has the
/// standard deviation `deviation`, and is an autoregressive process of the first order, which keeps
/// `memory` of the second before.
pub fn drifting(deviation: f64, memory: f64, random: &mut ChaCha8Rng) -> Level {
    let mut random = ChaCha8Rng::seed_from_u64(random.random());
    let mut state: f64 = StandardNormal.sample(&mut random);
    let mut second = f64::NEG_INFINITY;
    let mut level = 1.0;
    Box::new(move |now_s| {
        if now_s.floor() > second {
            second = now_s.floor();
            let noise: f64 = StandardNormal.sample(&mut random);
            state = memory * state + (1.0 - memory * memory).sqrt() * noise;
            level = (deviation * state).exp();
        }
        level
    })
}
