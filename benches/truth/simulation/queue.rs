//! Queues with one server, by Lindley's recursion, and their latencies by queueing theory.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp, LogNormal};
use statrs::distribution::{Discrete, DiscreteCDF, Poisson};

/// A server during a run: function from a request's arrival, in seconds from the beginning of the
/// measured part (negative in the warm-up), to its latency in seconds. Arrivals ascend.
pub type Server = Box<dyn FnMut(f64, &mut ChaCha8Rng) -> f64>;

/// A queue in front of one server: a request begins when the request before it has ended (Lindley
/// 1952, "The theory of queues with a single server").
#[derive(Default)]
struct Line {
    /// Time at which the last request ends, in seconds.
    free_at_s: f64,
}

impl Line {
    /// Adds a request. Returns its latency, which is its wait plus its service time.
    fn latency_s(&mut self, arrival_s: f64, service_s: f64) -> f64 {
        self.free_at_s = self.free_at_s.max(arrival_s) + service_s;
        self.free_at_s - arrival_s
    }

    /// Lets no request begin before this time.
    fn hold_until(&mut self, at_s: f64) {
        self.free_at_s = self.free_at_s.max(at_s);
    }
}

/// Returns a server that takes this number of seconds for every request: M/D/1 if arrivals are
/// Poisson.
pub fn deterministic(service_s: f64) -> Server {
    let mut line = Line { free_at_s: f64::NEG_INFINITY };
    Box::new(move |arrival_s, _| line.latency_s(arrival_s, service_s))
}

/// Returns a server whose service times are exponential, with this mean in seconds: M/M/1 if
/// arrivals are Poisson.
pub fn exponential(mean_s: f64) -> Server {
    let service = Exp::new(1.0 / mean_s).expect("a mean is above zero");
    let mut line = Line { free_at_s: f64::NEG_INFINITY };
    Box::new(move |arrival_s, random| line.latency_s(arrival_s, service.sample(random)))
}

/// Returns a server that stops for `stall_s` seconds every `every_s` seconds, the first time at
/// random.
pub fn stalling(
    every_s: f64,
    stall_s: f64,
    service: LogNormal<f64>,
    random: &mut ChaCha8Rng,
) -> Server {
    let mut line = Line { free_at_s: f64::NEG_INFINITY };
    let phase_s = random.random_range(0.0..every_s);
    Box::new(move |arrival_s, random| {
        let since_stall_s = (arrival_s + phase_s).rem_euclid(every_s);
        if since_stall_s < stall_s {
            line.hold_until(arrival_s - since_stall_s + stall_s);
        }
        line.latency_s(arrival_s, service.sample(random))
    })
}

/// Returns a quantile of the latency of an M/M/1 queue, in seconds. The latency is exponential,
/// with the rate of service minus the rate of arrivals (Kleinrock 1975, Queueing Systems I, section
/// 5.7).
pub fn exponential_quantile(rate: f64, mean_s: f64, quantile: f64) -> f64 {
    -(1.0 - quantile).ln() / (1.0 / mean_s - rate)
}

/// Returns a quantile of the latency of an M/D/1 queue, in seconds.
pub fn deterministic_quantile(rate: f64, service_s: f64, quantile: f64) -> f64 {
    let queue = Deterministic::new(rate * service_s);
    let (mut low, mut high) = (0.0, Deterministic::STATES as f64);
    // Each step halves the interval: 60 steps are more than a double can resolve.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        *(if queue.waits_at_most(middle) < quantile { &mut low } else { &mut high }) = middle;
    }
    (high + 1.0) * service_s
}

/// An M/D/1 queue, with the service time as the unit of time.
struct Deterministic {
    utilization: f64,
    /// Probability that at most this number of requests wait, by index.
    waiting: Vec<f64>,
}

impl Deterministic {
    /// Most requests in the queue that are computed. The probability of more than 500 is e⁻⁵⁰ at a
    /// utilization of 0.95.
    const STATES: usize = 500;

    fn new(utilization: f64) -> Self {
        let arrivals = Poisson::new(utilization).expect("a utilization is above zero");
        // Probability that at least `count` requests arrive while one is served.
        let at_least = |count: usize| if count == 0 { 1.0 } else { arrivals.sf(count as u64 - 1) };
        // The queue grows beyond a length as often as it shrinks below it. All terms are positive,
        // so that no digits are lost (Ramaswami 1988, "A stable recursion for the steady state
        // vector in Markov chains of M/G/1 type").
        let mut states = vec![1.0 - utilization];
        for length in 1..=Self::STATES {
            let from_some = (1..length).map(|from| states[from] * at_least(length - from + 1));
            let up = states[0] * at_least(length) + from_some.sum::<f64>();
            states.push(up / arrivals.pmf(0));
        }
        let mut sum = states[0];
        let waiting = states[1..].iter().map(|state| {
            sum += state;
            sum
        });
        Self { utilization, waiting: waiting.collect() }
    }

    /// Returns the probability of waiting for no longer than `time` (Franx 2001, "A simple solution
    /// for the M/D/c waiting time distribution").
    fn waits_at_most(&self, time: f64) -> f64 {
        let services = time.floor() as usize + 1;
        let arrivals = Poisson::new(self.utilization * (services as f64 - time));
        let arrivals = arrivals.expect("it ends after `time`");
        let with = |count: usize| self.waiting[services - 1 - count] * arrivals.pmf(count as u64);
        (0..services).map(with).sum()
    }
}
