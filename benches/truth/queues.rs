//! Latency that a queue for each thread of the generator adds to an open loop.
//!
//! The arrivals of an open loop are distributed among the threads, each of which has a share of the
//! connections. With Poisson arrivals and responses that all take the same time, each share is an
//! M/D/c queue. This queue is simulated: the first free connection takes the next request.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write;

use anyhow::Result;
use c10k_loadgen::empty_times;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use crate::many;

/// Time that a response takes, and time for which requests arrive, in nanoseconds.
const ANSWER_NS: u64 = 10_000_000;
const LENGTH_NS: u64 = 60_000_000_000;

/// Number of connections, and the share of their time in use.
const LOADS: [(usize, f64); 4] = [(8, 0.5), (8, 0.8), (64, 0.8), (64, 0.95)];

const THREADS: [usize; 3] = [1, 2, 4];

/// Returns p99 of the latency by number of threads, as a table.
pub fn run(quick: bool) -> Result<String> {
    let runs = if quick { 3 } else { 7 };
    let mut text = format!(
        "p99 of the latency in ms where every response takes 10 ms: median of {runs} runs of 60 s, \
         and the lowest and highest of them:\n\n| connections, share of their time in use | 1 \
         thread | 2 threads | 4 threads |\n|---|--:|--:|--:|\n"
    );
    for (connections, share) in LOADS {
        write!(text, "| {connections}, {:.0} % |", share * 100.0)?;
        for threads in THREADS {
            let mut p99_ms = many::runs(runs, |seed| p99_ms(connections, share, threads, seed));
            p99_ms.sort_by(f64::total_cmp);
            let (lowest, middle, highest) =
                (p99_ms[0], p99_ms[p99_ms.len() / 2], p99_ms[p99_ms.len() - 1]);
            write!(text, " {middle:.1} ({lowest:.1}–{highest:.1}) |")?;
        }
        text += "\n";
    }
    Ok(text)
}

/// Simulates a run, and returns p99 of the latency of all threads together, in milliseconds.
fn p99_ms(connections: usize, share: f64, threads: usize, seed: u64) -> f64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut latency = empty_times();
    let mean_gap_ns = ANSWER_NS as f64 * threads as f64 / (connections as f64 * share);
    for _ in 0..threads {
        // Time at which each connection becomes free.
        let mut free: BinaryHeap<Reverse<u64>> =
            (0..connections / threads).map(|_| Reverse(0)).collect();
        let mut due = 0.0;
        while due < LENGTH_NS as f64 {
            let gap: f64 = Exp1.sample(&mut random);
            due += gap * mean_gap_ns;
            let Reverse(first) = free.pop().expect("each thread has connections");
            let done = first.max(due as u64) + ANSWER_NS;
            latency.saturating_record(done - due as u64);
            free.push(Reverse(done));
        }
    }
    latency.value_at_quantile(0.99) as f64 / 1e6
}
