//! Intended send times of the requests of an open loop: a pure sequence of times, with no clock
//! inside.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use crate::workload::Arrivals;

/// Intended send times of one worker, ascending, in nanoseconds from the beginning of sending. The
/// sequence never ends.
#[derive(Debug)]
pub struct Schedule(Gaps);

#[derive(Debug)]
enum Gaps {
    /// Request number `next` of all workers together is due `next / rate` seconds after the
    /// beginning; rounding errors do not add up.
    Constant { next: u64, step: u64, period_ns: f64 },
    /// Independent exponential gaps of this mean. Several such processes together are one process
    /// of the whole rate (Kingman 1993, Poisson Processes, section 2.2).
    Poisson { at_ns: f64, mean_ns: f64, random: Box<ChaCha8Rng> },
}

impl Schedule {
    /// Creates the share of worker `index` of `workers` in a total of `rate` requests per second.
    /// With constant arrivals the workers take turns, so that no two send at the same time.
    pub fn new(rate: f64, arrivals: Arrivals, seed: u64, index: usize, workers: usize) -> Self {
        let period_ns = 1e9 / rate;
        Self(match arrivals {
            Arrivals::Constant => {
                Gaps::Constant { next: index as u64, step: workers as u64, period_ns }
            }
            Arrivals::Poisson => {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(index as u64);
                Gaps::Poisson {
                    at_ns: 0.0,
                    mean_ns: period_ns * workers as f64,
                    random: Box::new(random),
                }
            }
        })
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(match &mut self.0 {
            Gaps::Constant { next, step, period_ns } => {
                let at = *next as f64 * *period_ns;
                *next += *step;
                at as u64
            }
            Gaps::Poisson { at_ns, mean_ns, random } => {
                let gap: f64 = Exp1.sample(random);
                *at_ns += gap * *mean_ns;
                *at_ns as u64
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(seconds: u64, schedule: Schedule) -> Vec<u64> {
        schedule.take_while(|&at| at < seconds * 1_000_000_000).collect()
    }

    #[test]
    fn constant_arrivals_are_exact_and_taken_in_turns() {
        let workers = (0..3).map(|index| Schedule::new(1000.0, Arrivals::Constant, 0, index, 3));
        let mut all: Vec<u64> = workers.flat_map(|schedule| within(2, schedule)).collect();
        all.sort_unstable();
        assert_eq!(all.len(), 2000);
        assert!(all.iter().enumerate().all(|(i, &at)| at == i as u64 * 1_000_000));
    }

    #[test]
    fn a_rate_that_is_no_whole_number_does_not_drift() {
        let sent = within(1000, Schedule::new(333.3, Arrivals::Constant, 0, 0, 1)).len();
        assert!((333_299..=333_301).contains(&sent), "{sent}");
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_the_variance_of_their_rate() {
        let times = within(100, Schedule::new(1000.0, Arrivals::Poisson, 7, 0, 1));
        assert!((99_000..101_000).contains(&times.len()), "{}", times.len());
        // In a Poisson process, the variance of the counts per interval equals their mean.
        let mut counts = [0.0; 1000];
        for at in &times {
            counts[(at / 100_000_000) as usize] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / 1000.0;
        let variance =
            counts.iter().map(|count| (count - mean) * (count - mean)).sum::<f64>() / 999.0;
        assert!((0.8..1.25).contains(&(variance / mean)), "{variance} / {mean}");
    }

    #[test]
    fn the_same_seed_gives_the_same_times_and_workers_differ() {
        let times = |seed, index| {
            Schedule::new(10.0, Arrivals::Poisson, seed, index, 2).take(5).collect::<Vec<_>>()
        };
        assert_eq!(times(1, 0), times(1, 0));
        assert_ne!(times(1, 0), times(2, 0));
        assert_ne!(times(1, 0), times(1, 1));
    }
}
