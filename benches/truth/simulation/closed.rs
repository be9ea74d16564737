//! Closed loops: the throughput follows a level over time, and the latencies follow from the
//! throughput.

use std::time::Duration;

use c10k_loadgen::Measurement;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};

use super::level::Level;
use super::measured::{CONNECTIONS, Recording};

/// Number of steps by which latencies are spread evenly between half and one and a half times their
/// mean.
const STEPS: u64 = 20;

/// Simulates a run of this length, whose throughput is `rate` requests per second times a level.
/// Counts are Poisson-distributed. Latencies follow from the throughput by Little's law; while
/// there is no throughput, no request ends.
pub fn closed(mut throughput: Level, seed: u64, length: Duration, rate: f64) -> Measurement {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut recording = Recording::closed(length);
    let (interval_s, begins) = recording.intervals();
    for begin_s in begins {
        let middle_s = begin_s + interval_s / 2.0;
        let rate = rate * throughput(middle_s);
        // The distribution accepts only means above zero.
        let Ok(counts) = Poisson::new(rate * interval_s) else { continue };
        let count = counts.sample(&mut random) as u64;
        let mean_s = CONNECTIONS as f64 * interval_s / count.max(1) as f64;
        for step in 0..STEPS {
            let latency_s = mean_s * (0.5 + (step as f64 + 0.5) / STEPS as f64);
            recording.add_alike(
                middle_s,
                latency_s,
                (step + 1) * count / STEPS - step * count / STEPS,
            );
        }
    }
    recording.finish()
}
