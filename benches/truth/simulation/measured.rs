//! Puts simulated requests into a [`Measurement`] in which nothing else went wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use c10k_loadgen::addresses::Addresses;
use c10k_loadgen::example::{ErrorExamples, StatusCodes};
use c10k_loadgen::measurement::{
    Batch, Bodies, Bytes, Connections, Distributions, Errors, Fairness, Generator, GeneratorLimits,
    KernelCounters, MAX_ARRIVALS, MAX_BATCHES, Measurement, Requests, Silence, StartUp, Times,
};
use c10k_loadgen::workload::{Arrivals, Pacing, Until};
use c10k_loadgen::{Workload, empty_times};

/// Connections at once.
pub const CONNECTIONS: u64 = 64;

/// Lateness of every send, in nanoseconds.
const SEND_LAG_NS: u64 = 2_000;

/// The requests of a run, one by one.
pub struct Recording {
    workload: Workload,
    length: Duration,
    batches: Vec<Batch>,
    /// Length of each batch except the last, in seconds.
    stretch_s: f64,
    arrivals: Vec<u64>,
    last_end_s: f64,
    silence: Silence,
}

impl Recording {
    /// Starts to record an open loop.
    pub fn open(arrivals: Arrivals, seed: u64, length: Duration, rate: f64) -> Self {
        Self::new(Pacing::Open { rate, arrivals, seed, spin: c10k::time::SPIN }, length)
    }

    /// Starts to record a closed loop.
    pub fn closed(length: Duration) -> Self {
        Self::new(Pacing::Closed, length)
    }

    fn new(pacing: Pacing, length: Duration) -> Self {
        let connections = CONNECTIONS as usize;
        let until = Until::Elapsed(length);
        let workload = Workload { pacing, connections, ..Workload::lasting(until) };
        let batches = empty_batches(length, workload.interval);
        let stretch_s = batches[0].length.as_secs_f64();
        Self {
            workload,
            length,
            batches,
            stretch_s,
            arrivals: Vec::new(),
            last_end_s: 0.0,
            silence: Silence::default(),
        }
    }

    /// Adds a request that arrived at a time of the measured part. It belongs to the batch in which
    /// it ended, as in a real run. The last batch also takes requests that ended later.
    pub fn add(&mut self, at_s: f64, latency_s: f64) {
        self.add_alike(at_s + latency_s, latency_s, 1);
        self.note_silence(at_s, at_s + latency_s);
        if self.arrivals.len() < MAX_ARRIVALS {
            self.arrivals.push((at_s * 1e9) as u64 + SEND_LAG_NS);
        }
    }

    /// Keeps the longest time without a response. Requests must be answered in the order in which
    /// they came.
    fn note_silence(&mut self, at_s: f64, end_s: f64) {
        let begin_s = self.last_end_s.max(at_s);
        let length = Duration::from_secs_f64((end_s - begin_s).max(0.0));
        if length > self.silence.length {
            self.silence =
                Silence { begin: Duration::from_secs_f64(begin_s), length, awake: length };
        }
        self.last_end_s = self.last_end_s.max(end_s);
    }

    /// Adds requests that all ended at one time after the same latency.
    pub fn add_alike(&mut self, end_s: f64, latency_s: f64, count: u64) {
        let last = self.batches.len() - 1;
        let batch = &mut self.batches[((end_s / self.stretch_s) as usize).min(last)];
        batch.completed += count;
        batch.latency.saturating_record_n((latency_s * 1e9) as u64, count);
    }

    /// Returns the length of the intervals into which a run is divided, and the starts of all
    /// intervals, in seconds.
    pub fn intervals(&self) -> (f64, impl Iterator<Item = f64> + use<>) {
        let interval_s = self.workload.interval.as_secs_f64();
        let count = (self.length.as_secs_f64() / interval_s).round() as u32;
        (interval_s, (0..count).map(move |number| f64::from(number) * interval_s))
    }

    /// Returns the measurement of the recorded requests.
    pub fn finish(self) -> Measurement {
        let latency = whole(&self.batches);
        let completed = latency.len();
        let is_open = self.workload.pacing.rate().is_some();
        let mut send_lag = empty_times();
        send_lag.saturating_record_n(SEND_LAG_NS, if is_open { completed } else { 0 });
        Measurement {
            target: "http://127.0.0.1:8080/".into(),
            workload: self.workload,
            duration: self.length,
            requests: Requests {
                intended: completed,
                sent: completed,
                completed,
                ..Requests::default()
            },
            connections: Connections {
                requested: CONNECTIONS,
                established: CONNECTIONS,
                served: CONNECTIONS,
                opened_total: CONNECTIONS,
                ..Connections::default()
            },
            slow: None,
            errors: Errors::default(),
            lookup: None,
            addresses: Addresses::default(),
            errors_at: Vec::new(),
            error_examples: ErrorExamples::default(),
            status_codes: StatusCodes::default(),
            times: times(latency, send_lag),
            kinds: BTreeMap::new(),
            bytes: Bytes::default(),
            generator: Generator {
                threads: 1,
                user_s: 0.1,
                system_s: 0.3,
                cpu_wait_s: Some(0.0),
                ..Generator::default()
            },
            fairness: alike(completed / CONNECTIONS),
            start_up: StartUp::default(),
            bodies: Bodies { counted: completed, empty: 0, shortest: 1024, longest: 1024 },
            generator_limits: GeneratorLimits::default(),
            batches: self.batches,
            arrivals: self.arrivals,
            idle: self.length / 2,
            silence: self.silence,
            kernel: Some(KernelCounters::default()),
            generator_cpus: vec![0],
            has_one_processor: false,
            server: None,
        }
    }
}

/// Returns empty batches as the generator keeps them: neighbouring batches are merged until there
/// are few enough.
fn empty_batches(length: Duration, interval: Duration) -> Vec<Batch> {
    let mut batch = interval;
    while length > batch * MAX_BATCHES as u32 {
        batch *= 2;
    }
    let mut batches = Vec::new();
    let mut left = length;
    while !left.is_zero() {
        let length = left.min(batch);
        batches.push(Batch { length, completed: 0, latency: empty_times() });
        left -= length;
    }
    batches
}

fn whole(batches: &[Batch]) -> Times {
    let mut whole = empty_times();
    for batch in batches {
        whole.add(&batch.latency).expect("all distributions have the same bounds");
    }
    whole
}

/// Returns the distributions of a run in which no request waits for the generator, and none makes a
/// connection.
fn times(latency: Times, send_lag: Times) -> Distributions {
    let mut connect = empty_times();
    connect.saturating_record_n(100_000, CONNECTIONS);
    Distributions {
        service: latency.clone(),
        first_byte: latency.clone(),
        response: latency.clone(),
        latency,
        connect,
        send_lag,
        connect_wait: empty_times(),
        unanswered: empty_times(),
    }
}

fn alike(answers: u64) -> Fairness {
    Fairness { min: answers, median: answers, max: answers, jain: 1.0 }
}
