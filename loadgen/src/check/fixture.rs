//! Measurements without any fault, which tests then change.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::addresses::Addresses;
use crate::example::{ErrorExamples, StatusCodes};
use crate::measurement::{
    Batch, Bodies, Bytes, Connections, Distributions, Errors, Fairness, Generator, GeneratorLimits,
    KernelCounters, Measurement, Requests, Silence, StartUp, Times,
};
use crate::schedule::Schedule;
use crate::times::empty_times;
use crate::workload::{Arrivals, Pacing, Until, Workload};

/// Length of the measured part, in seconds and batches.
pub const SECONDS: u64 = 10;

/// Number of connections.
pub const CONNECTIONS: u64 = 64;

/// Offered requests per second of [`open`].
pub const RATE: f64 = 1000.0;

/// Returns a closed loop whose requests take 1 ms on average, so that each connection has 1000 of
/// them per second.
pub fn closed() -> Measurement {
    measurement(Pacing::Closed, vec![batch(CONNECTIONS * 1000, 1_000_000); SECONDS as usize])
}

/// Returns an open loop of 1000 requests per second, sent 2 µs late.
pub fn open(arrivals: Arrivals) -> Measurement {
    let pacing = Pacing::Open { rate: RATE, arrivals, seed: 1, spin: Duration::from_micros(100) };
    let mut measured = measurement(pacing, vec![batch(RATE as u64, 1_000_000); SECONDS as usize]);
    measured.times.send_lag = times(&[(2_000, measured.requests.sent)]);
    measured.arrivals = Schedule::new(RATE, arrivals, 1, 0, 1)
        .take_while(|&at| at < SECONDS * 1_000_000_000)
        .map(|at| at + 2_000)
        .collect();
    measured
}

/// Returns a batch of one second with this many requests of this mean latency, spread evenly from
/// half of it to one and a half times it.
pub fn batch(completed: u64, mean_ns: u64) -> Batch {
    let steps = (0..100).map(|step| mean_ns / 2 + mean_ns * (2 * step + 1) / 200);
    let counts = (0..100).map(|step| (step + 1) * completed / 100 - step * completed / 100);
    let latency = times(&steps.zip(counts).collect::<Vec<_>>());
    Batch { length: Duration::from_secs(1), completed, latency }
}

/// Returns a distribution of values with their counts.
pub fn times(values: &[(u64, u64)]) -> Times {
    let mut times = empty_times();
    for &(value, count) in values {
        times.record_n(value, count).expect("a value within the bounds");
    }
    times
}

/// Puts other batches into a measurement, and updates the fields that follow from them.
pub fn set_batches(measured: &mut Measurement, batches: Vec<Batch>) {
    let whole = Batch::join(&batches);
    measured.duration = whole.length;
    measured.requests.completed = whole.completed;
    measured.requests.sent = whole.completed;
    measured.requests.intended = whole.completed;
    measured.times.latency = whole.latency.clone();
    measured.times.response = whole.latency.clone();
    measured.times.service = whole.latency;
    measured.batches = batches;
}

/// Changes a measurement into that of a server that accepted every request and answered none.
pub fn forget_responses(measured: &mut Measurement) {
    let in_flight = measured.requests.intended.min(CONNECTIONS);
    set_batches(measured, vec![batch(0, 1); SECONDS as usize]);
    measured.requests = Requests {
        intended: measured.workload.pacing.rate().map_or(in_flight, |rate| rate as u64 * SECONDS),
        sent: in_flight,
        in_flight_at_end: in_flight,
        ..Requests::default()
    };
    measured.connections.served = 0;
    measured.connections.starved = CONNECTIONS;
    measured.fairness = Fairness::default();
}

fn measurement(pacing: Pacing, batches: Vec<Batch>) -> Measurement {
    let until = Until::Elapsed(Duration::from_secs(SECONDS));
    let workload =
        Workload { pacing, connections: CONNECTIONS as usize, ..Workload::lasting(until) };
    let mut measured = Measurement {
        target: "http://127.0.0.1:8080/".into(),
        workload,
        duration: Duration::ZERO,
        requests: Requests::default(),
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
        times: Distributions {
            latency: empty_times(),
            service: empty_times(),
            connect: times(&[(100_000, CONNECTIONS)]),
            first_byte: empty_times(),
            send_lag: empty_times(),
            connect_wait: empty_times(),
            response: empty_times(),
            unanswered: empty_times(),
        },
        kinds: BTreeMap::new(),
        bytes: Bytes::default(),
        generator: Generator {
            threads: 1,
            user_s: 1.0,
            system_s: 3.0,
            cpu_wait_s: Some(0.0),
            ..Generator::default()
        },
        fairness: Fairness::default(),
        start_up: StartUp::default(),
        bodies: Bodies { counted: 1, empty: 0, shortest: 1024, longest: 1024 },
        generator_limits: GeneratorLimits::default(),
        batches: Vec::new(),
        arrivals: Vec::new(),
        idle: Duration::from_secs(SECONDS / 2),
        silence: Silence::default(),
        kernel: Some(KernelCounters::default()),
        generator_cpus: vec![0],
        has_one_processor: false,
        server: None,
    };
    set_batches(&mut measured, batches);
    let each = measured.requests.completed / CONNECTIONS;
    measured.fairness = Fairness { min: each, median: each, max: each, jain: 1.0 };
    measured
}
