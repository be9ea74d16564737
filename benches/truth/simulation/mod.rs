//! Simulated servers whose true latencies are known, so that the intervals and checks of a run can
//! be compared with the truth.
//!
//! A [`Process`] is an open loop over a server whose percentiles are known from a formula, or else
//! from one very long run. [`closed`] makes closed loops from a level of throughput over time. Both
//! return a [`Measurement`], as a run of the load generator does. No socket and no clock is used,
//! so a run depends on its seed only.

pub mod closed;
pub mod level;
mod measured;
mod queue;

use std::time::Duration;

use c10k_loadgen::Measurement;
use c10k_loadgen::workload::Arrivals;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, LogNormal};
use statrs::distribution::{ContinuousCDF, LogNormal as LogNormalLaw};

use measured::Recording;
use queue::Server;

/// Requests per second, unless a text says otherwise.
pub const RATE: f64 = 1_000.0;

/// Length of the traffic before the measured part, in seconds: ten times the memory of the slowest
/// queue.
const WARM_UP_S: f64 = 5.0;

/// Length of a run that stands for the truth if there is no formula: 1e8 requests at [`RATE`].
const LONG_RUN: Duration = Duration::from_secs(100_000);

/// Seed of the long run. The seeds of the runs that are compared with it are small numbers.
const LONG_RUN_SEED: u64 = u64::MAX;

/// Median of service times, without any wait, in seconds, and the standard deviation of their
/// logarithms.
const SERVICE_S: f64 = 100e-6;
const SERVICE_DEVIATION: f64 = 0.5;

/// Standard deviation of the drifting level's logarithm, and the share of a deviation that is left
/// a second later.
const DRIFT_DEVIATION: f64 = 0.2;
const DRIFT_MEMORY: f64 = 0.9;

/// Seconds from one stall to the next, and the length of one.
const STALL_EVERY_S: f64 = 5.0;
const STALL_S: f64 = 0.1;

/// Function that makes the server of one run, from a rate in requests per second.
type MakeServer = fn(f64, &mut ChaCha8Rng) -> Server;

/// An open loop over a server with known properties.
pub struct Process {
    /// Name in tables.
    pub name: &'static str,
    arrivals: Arrivals,
    server: MakeServer,
    /// Latency in seconds at a quantile and a rate, if there is a formula.
    formula: Option<fn(f64, f64) -> f64>,
}

/// The processes that intervals are compared with.
pub const PROCESSES: &[Process] = &[
    Process {
        name: "independent (lognormal)",
        arrivals: Arrivals::Constant,
        server: |_, _| at_level(level::steady()),
        formula: Some(|quantile, _| lognormal(quantile, SERVICE_DEVIATION)),
    },
    Process {
        name: "M/D/1 at 0.8",
        arrivals: Arrivals::Poisson,
        server: |rate, _| queue::deterministic(0.8 / rate),
        formula: Some(|quantile, rate| queue::deterministic_quantile(rate, 0.8 / rate, quantile)),
    },
    Process {
        name: "M/M/1 at 0.8",
        arrivals: Arrivals::Poisson,
        server: |rate, _| queue::exponential(0.8 / rate),
        formula: Some(|quantile, rate| queue::exponential_quantile(rate, 0.8 / rate, quantile)),
    },
    Process {
        name: "M/D/1 at 0.95",
        arrivals: Arrivals::Poisson,
        server: |rate, _| queue::deterministic(0.95 / rate),
        formula: Some(|quantile, rate| queue::deterministic_quantile(rate, 0.95 / rate, quantile)),
    },
    Process {
        name: "a stall of 100 ms every 5 s",
        arrivals: Arrivals::Poisson,
        server: |_, random| queue::stalling(STALL_EVERY_S, STALL_S, service(), random),
        formula: None,
    },
    Process {
        name: "a level that drifts (AR(1) 0.9 per second, 20 %)",
        arrivals: Arrivals::Constant,
        server: |_, random| at_level(level::drifting(DRIFT_DEVIATION, DRIFT_MEMORY, random)),
        // The product of two lognormal variables.
        formula: Some(|quantile, _| lognormal(quantile, SERVICE_DEVIATION.hypot(DRIFT_DEVIATION))),
    },
];

impl Process {
    /// Simulates a run of this length at a rate of requests per second.
    pub fn run(&self, seed: u64, length: Duration, rate: f64) -> Measurement {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let server = (self.server)(rate, &mut random);
        open(self.arrivals, server, seed, length, rate)
    }

    /// Returns the true latencies at `quantiles` and [`RATE`], in nanoseconds.
    pub fn truth_ns<const N: usize>(&self, quantiles: [f64; N]) -> [f64; N] {
        if let Some(formula) = self.formula {
            return quantiles.map(|quantile| 1e9 * formula(quantile, RATE));
        }
        let measured = self.run(LONG_RUN_SEED, LONG_RUN, RATE);
        quantiles.map(|quantile| {
            let times = &measured.times.latency;
            times.median_equivalent(times.value_at_quantile(quantile)) as f64
        })
    }
}

/// Simulates an open loop over a server.
fn open(
    arrivals: Arrivals,
    mut server: Server,
    seed: u64,
    length: Duration,
    rate: f64,
) -> Measurement {
    let mut random = ChaCha8Rng::seed_from_u64(!seed);
    let mut recording = Recording::open(arrivals, seed, length, rate);
    let mut at_s = -WARM_UP_S;
    while at_s < length.as_secs_f64() {
        let latency_s = server(at_s, &mut random);
        if at_s >= 0.0 {
            recording.add(at_s, latency_s);
        }
        at_s += match arrivals {
            Arrivals::Constant => 1.0 / rate,
            Arrivals::Poisson => Distribution::<f64>::sample(&Exp1, &mut random) / rate,
        };
    }
    recording.finish()
}

/// Returns a server without a queue: each request has a service time of its own, times the level at
/// that moment.
fn at_level(mut level: level::Level) -> Server {
    let service = service();
    Box::new(move |at_s, random| level(at_s) * service.sample(random))
}

fn service() -> LogNormal<f64> {
    LogNormal::new(SERVICE_S.ln(), SERVICE_DEVIATION).expect("a deviation is not negative")
}

fn lognormal(quantile: f64, deviation: f64) -> f64 {
    let law = LogNormalLaw::new(SERVICE_S.ln(), deviation).expect("a deviation is above zero");
    law.inverse_cdf(quantile)
}
