//! What one run measured: [`Measurement`] in memory, with whole histograms, and [`Summary`], its wire format.
//!
//! The wire format is version 1 of `c10k load --json`: keys may be added, none is renamed or removed.

use std::ops::AddAssign;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::workload::Workload;

/// The version of the wire format that this crate writes and reads.
pub const VERSION: u32 = 1;

/// Times in nanoseconds, one value per event, at three significant digits.
pub type Times = Histogram<u64>;

/// What one run measured. Only events of the measured part count, never those of the warm-up.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The URL that was asked for.
    pub target: String,
    /// What was sent.
    pub workload: Workload,
    /// How long the measured part took.
    pub duration: Duration,
    /// Requests by what became of them.
    pub requests: Requests,
    /// Connections by what became of them.
    pub connections: Connections,
    /// Failures by kind.
    pub errors: Errors,
    /// Distributions of times.
    pub times: Distributions,
    /// Octets that crossed the sockets.
    pub bytes: Bytes,
    /// What the generator itself used.
    pub generator: Generator,
}

/// Distributions of times, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Distributions {
    /// From the intended send time to the last byte of the answer.
    pub latency: Times,
    /// From the actual send to the last byte of the answer.
    pub service: Times,
    /// From `connect` to the established connection.
    pub connect: Times,
    /// From the actual send to the first byte of the answer.
    pub first_byte: Times,
}

impl Distributions {
    /// The distributions by name, as they are tagged in a log.
    pub fn named(&self) -> [(&'static str, &Times); 4] {
        let Self { latency, service, connect, first_byte } = self;
        [("latency", latency), ("service", service), ("connect", connect), ("first_byte", first_byte)]
    }

    /// The distributions by name, to change.
    pub fn named_mut(&mut self) -> [(&'static str, &mut Times); 4] {
        let Self { latency, service, connect, first_byte } = self;
        [("latency", latency), ("service", service), ("connect", connect), ("first_byte", first_byte)]
    }
}

/// Requests by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Requests that the workload called for.
    pub intended: u64,
    /// Requests that were written to a socket.
    pub sent: u64,
    /// Requests with a whole answer of the right status and length.
    pub completed: u64,
    /// Requests with an error in place of that.
    pub failed: u64,
    /// Requests still without an answer when the run ended.
    pub in_flight_at_end: u64,
}

/// Connections by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Connections that the workload called for at once.
    pub requested: u64,
    /// Of those, how many stood at least once.
    pub established: u64,
    /// Of those, how many had at least one answer.
    pub served: u64,
    /// Of those, how many stood but never had an answer.
    pub starved: u64,
    /// All connections opened over the run, the short-lived ones one by one.
    pub opened_total: u64,
}

/// Failures by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// A connection could not be made.
    pub connect: u64,
    /// A connection broke off with a request under way.
    pub reset: u64,
    /// A request had no answer in time.
    pub timeout: u64,
    /// An answer of another status than 2xx.
    pub status: u64,
    /// An answer that is not HTTP/1.1, or of another length than it should be.
    pub protocol: u64,
}

impl Errors {
    /// All failures together.
    pub fn total(&self) -> u64 {
        self.connect + self.reset + self.timeout + self.status + self.protocol
    }
}

impl AddAssign for Errors {
    fn add_assign(&mut self, other: Self) {
        self.connect += other.connect;
        self.reset += other.reset;
        self.timeout += other.timeout;
        self.status += other.status;
        self.protocol += other.protocol;
    }
}

/// Octets that crossed the sockets in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// From the server.
    pub read: u64,
    /// To the server.
    pub written: u64,
}

/// What the generator itself used in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Worker threads.
    pub threads: usize,
    /// CPU time in user mode, all workers together, in seconds.
    pub user_s: f64,
    /// CPU time in the kernel, all workers together, in seconds.
    pub system_s: f64,
}

/// Version 1 of `c10k load --json`: what a [`Measurement`] says to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`VERSION`].
    pub version: u32,
    /// The URL that was asked for.
    pub target: String,
    /// `closed` or `open`.
    pub r#loop: String,
    /// Requests per second that an open loop meant to send; absent in a closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_rps: Option<f64>,
    /// Completed requests per second.
    pub throughput_rps: f64,
    /// Length of the measured part, in seconds.
    pub duration_s: f64,
    /// Requests by what became of them.
    pub requests: Requests,
    /// Connections by what became of them.
    pub connections: Connections,
    /// Failures by kind.
    pub errors: Errors,
    /// From the intended send time to the last byte.
    pub latency_us: Percentiles,
    /// From the actual send to the last byte.
    pub service_us: Percentiles,
    /// From `connect` to the established connection.
    pub connect_us: Percentiles,
    /// From the actual send to the first byte.
    pub first_byte_us: Percentiles,
    /// Octets that crossed the sockets.
    pub bytes: Bytes,
    /// What the generator itself used.
    pub generator: Generator,
}

/// A distribution in a few numbers, in microseconds. All zero when `count` is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the percentile that its name says")]
pub struct Percentiles {
    pub count: u64,
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    #[serde(rename = "p99.99")]
    pub p99_99: f64,
    pub max: f64,
}

impl From<&Measurement> for Summary {
    fn from(measured: &Measurement) -> Self {
        let duration_s = measured.duration.as_secs_f64();
        let Distributions { latency, service, connect, first_byte } = &measured.times;
        Self {
            version: VERSION,
            target: measured.target.clone(),
            r#loop: measured.workload.pacing.to_string(),
            offered_rps: None,
            throughput_rps: measured.requests.completed as f64 / duration_s,
            duration_s,
            requests: measured.requests,
            connections: measured.connections,
            errors: measured.errors,
            latency_us: Percentiles::of(latency),
            service_us: Percentiles::of(service),
            connect_us: Percentiles::of(connect),
            first_byte_us: Percentiles::of(first_byte),
            bytes: measured.bytes,
            generator: measured.generator,
        }
    }
}

impl Percentiles {
    /// Reads a distribution of nanoseconds.
    pub fn of(times: &Times) -> Self {
        if times.is_empty() {
            return Self::default();
        }
        let us = |ns: u64| ns as f64 / 1e3;
        let at = |quantile: f64| us(times.value_at_quantile(quantile));
        Self {
            count: times.len(),
            min: us(times.min()),
            mean: times.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: us(times.max()),
        }
    }
}
