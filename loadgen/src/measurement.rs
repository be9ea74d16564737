//! What one run measured: [`Measurement`] in memory, with whole histograms, and [`Summary`], its wire format.
//!
//! The wire format is version 1 of `c10k load --json`: keys may be added, none is renamed or removed.

use std::ops::AddAssign;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::check::{self, CheckOutcome};
use crate::confidence;
use crate::recorder::{Interval, empty_times};
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
    /// The same, or, where an open loop waited for its last answers, until the last of them.
    pub elapsed: Duration,
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
    /// How evenly the connections were served.
    pub fairness: Fairness,
    /// The measured part in consecutive stretches, [`MAX_BATCHES`] at most, all but the last of the same length.
    pub batches: Vec<Batch>,
    /// When requests were sent, in nanoseconds from the begin of the measured part, ascending: the first
    /// [`MAX_SEND_TIMES`] of each worker.
    pub send_times: Vec<u64>,
    /// What this machine's kernel counted meanwhile, where that can be read.
    pub kernel: Option<KernelCounters>,
}

/// Stretches that a measured part is kept in; when there are more, neighbours are put together.
pub const MAX_BATCHES: usize = 64;

/// Send times that a worker keeps.
pub const MAX_SEND_TIMES: usize = 10_000;

/// A stretch of the measured part.
#[derive(Debug, Clone)]
pub struct Batch {
    /// How long it was.
    pub length: Duration,
    /// Requests with a whole answer of a good status.
    pub completed: u64,
    /// Their latencies, in nanoseconds, and the ages of requests that timed out or had no answer at the end.
    pub latency: Times,
}

/// Requests answered per connection that the workload called for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fairness {
    /// On the connection that was served least.
    pub min: u64,
    /// On the one in the middle.
    pub median: u64,
    /// On the one that was served most.
    pub max: u64,
    /// Jain's fairness index, (Σx)² / (n·Σx²): 1 when all were served alike, 1/n when one had everything (Jain, Chiu and
    /// Hawe 1984).
    pub jain: f64,
}

/// Counters of the kernel that tell of connections that it kept waiting. They are of the whole machine, or of the network
/// namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KernelCounters {
    /// Connections that found the listen queue full.
    pub listen_overflows: u64,
    /// Connections that a listener dropped, for that or another reason.
    pub listen_drops: u64,
    /// SYN segments that had to be sent again.
    pub syn_retransmits: u64,
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
    /// From the intended send time to the actual send, as far as the generator itself was late: it had a connection free.
    pub send_lag: Times,
}

impl Measurement {
    /// Completed requests per second; none where nothing was measured.
    pub fn throughput_rps(&self) -> f64 {
        let elapsed_s = self.elapsed.as_secs_f64();
        if elapsed_s > 0.0 { self.requests.completed as f64 / elapsed_s } else { 0.0 }
    }
}

impl Fairness {
    /// Of the number of answers on each connection.
    pub(crate) fn of(mut answers: Vec<u64>) -> Self {
        answers.sort_unstable();
        let (Some(&min), Some(&max)) = (answers.first(), answers.last()) else { return Self::default() };
        let sum = answers.iter().map(|&count| count as f64).sum::<f64>();
        let squares = answers.iter().map(|&count| (count as f64).powi(2)).sum::<f64>();
        let jain = if sum > 0.0 { sum * sum / (answers.len() as f64 * squares) } else { 0.0 };
        Self { min, median: answers[answers.len() / 2], max, jain }
    }
}

impl Batch {
    pub(crate) fn of(interval: &Interval) -> Self {
        Self {
            length: interval.length,
            completed: interval.seen.completed,
            latency: interval.seen.times.latency.clone(),
        }
    }

    /// Puts neighbours together.
    pub(crate) fn join(neighbours: &[Self]) -> Self {
        let mut latency = empty_times();
        for batch in neighbours {
            latency.add(&batch.latency).expect("all distributions have the same bounds");
        }
        Self {
            length: neighbours.iter().map(|batch| batch.length).sum(),
            completed: neighbours.iter().map(|batch| batch.completed).sum(),
            latency,
        }
    }
}

impl Distributions {
    /// The distributions by name, as they are tagged in a log.
    pub fn named(&self) -> [(&'static str, &Times); 5] {
        let Self { latency, service, connect, first_byte, send_lag } = self;
        [
            ("latency", latency),
            ("service", service),
            ("connect", connect),
            ("first_byte", first_byte),
            ("send_lag", send_lag),
        ]
    }

    /// The distributions by name, to change.
    pub fn named_mut(&mut self) -> [(&'static str, &mut Times); 5] {
        let Self { latency, service, connect, first_byte, send_lag } = self;
        [
            ("latency", latency),
            ("service", service),
            ("connect", connect),
            ("first_byte", first_byte),
            ("send_lag", send_lag),
        ]
    }
}

/// Requests by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Requests {
    /// Requests that the workload called for.
    pub intended: u64,
    /// Requests that were written to a socket.
    pub sent: u64,
    /// Requests with a whole answer of the right status and length.
    pub completed: u64,
    /// Of those, how many were redirections, which are not followed.
    #[serde(default)]
    pub redirected: u64,
    /// Requests with an error in place of that.
    pub failed: u64,
    /// Requests still without an answer when the run ended.
    pub in_flight_at_end: u64,
}

/// Connections by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// Further connections that were opened and only held.
    #[serde(default)]
    pub idle_established: u64,
}

/// Failures by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Errors {
    /// A connection could not be made.
    pub connect: u64,
    /// A connection broke off with a request under way.
    pub reset: u64,
    /// A request had no answer in time.
    pub timeout: u64,
    /// An answer of status 400 or above.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bytes {
    /// From the server.
    pub read: u64,
    /// To the server.
    pub written: u64,
}

/// What the generator itself used in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// [`VERSION`]; no other is read.
    #[serde(deserialize_with = "known_version")]
    #[cfg_attr(test, schemars(extend("const" = VERSION)))]
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
    /// From the intended send time to the actual send, where a connection was free.
    #[serde(default)]
    pub send_lag_us: Percentiles,
    /// Octets that crossed the sockets.
    pub bytes: Bytes,
    /// What the generator itself used.
    pub generator: Generator,
    /// How evenly the connections were served.
    #[serde(default)]
    pub fairness: Fairness,
    /// What this machine's kernel counted meanwhile; absent where that can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelCounters>,
    /// What the validity checks that apply say; none in records of before there were checks.
    #[serde(default)]
    pub checks: Vec<CheckOutcome>,
    /// Whether the numbers can be believed: no check failed.
    #[serde(default = "unless_told")]
    pub valid: bool,
}

/// Nothing was known against a measurement of before there were checks.
fn unless_told() -> bool {
    true
}

/// Why a text is no summary.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Written by a program that keeps it in another way.
    #[error("{}", unknown_version(*.0))]
    Version(u32),
    /// Not what [`VERSION`] says that it is.
    #[error("this is no result of `c10k load --json`: {0}")]
    Format(#[from] serde_json::Error),
}

fn unknown_version(version: u32) -> String {
    format!(
        "the measurement is kept in format version {version}; this c10k reads version {VERSION}, a newer one may read it"
    )
}

/// Refuses versions that this crate does not know, wherever a summary is nested.
fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        VERSION => Ok(VERSION),
        version => Err(D::Error::custom(unknown_version(version))),
    }
}

impl Summary {
    /// Reads what `c10k load --json` wrote.
    ///
    /// # Errors
    /// When the text is something else, or of another version. The version is looked at first: what else is in a text of
    /// another one cannot be known.
    pub fn read(json: &str) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        match serde_json::from_str::<Version>(json)?.version {
            VERSION => Ok(serde_json::from_str(json)?),
            version => Err(ReadError::Version(version)),
        }
    }
}

/// A distribution in a few numbers, in microseconds. All zero when `count` is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// 95 % confidence intervals; of latency only, where there is enough to tell them from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci95: Option<Intervals>,
}

/// 95 % confidence intervals of percentiles, lower and upper limit, in microseconds. They allow for autocorrelation. One
/// is absent where there are too few effective samples, or too few batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "each field is of the percentile that its name says")]
pub struct Intervals {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<[f64; 2]>,
    #[serde(rename = "p99.9", default, skip_serializing_if = "Option::is_none")]
    pub p99_9: Option<[f64; 2]>,
}

impl From<&Measurement> for Summary {
    fn from(measured: &Measurement) -> Self {
        let duration_s = measured.duration.as_secs_f64();
        let checks = check::outcomes(measured);
        let Distributions { latency, service, connect, first_byte, send_lag } = &measured.times;
        Self {
            version: VERSION,
            target: measured.target.clone(),
            r#loop: measured.workload.pacing.to_string(),
            offered_rps: measured.workload.pacing.rate(),
            // Of no time at all, not even a rate of nothing: JSON has no NaN.
            throughput_rps: measured.throughput_rps(),
            duration_s,
            requests: measured.requests,
            connections: measured.connections,
            errors: measured.errors,
            latency_us: Percentiles {
                ci95: confidence::intervals(latency, &measured.batches),
                ..Percentiles::of(latency)
            },
            service_us: Percentiles::of(service),
            connect_us: Percentiles::of(connect),
            first_byte_us: Percentiles::of(first_byte),
            send_lag_us: Percentiles::of(send_lag),
            bytes: measured.bytes,
            generator: measured.generator,
            fairness: measured.fairness,
            kernel: measured.kernel,
            valid: check::is_valid(&checks),
            checks,
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
            ci95: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use schemars::generate::SchemaSettings;

    use super::*;
    use crate::check::fixture;
    use crate::workload::Arrivals;

    /// The committed schema; the test below tells how it is made.
    const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/summary.schema.json");

    fn json() -> String {
        serde_json::to_string(&Summary::from(&fixture::open(Arrivals::Poisson))).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let summary = Summary::from(&fixture::closed());
        assert!(summary.valid && !summary.checks.is_empty());
        assert!(summary.latency_us.ci95.is_some() && summary.service_us.ci95.is_none());
        let json = serde_json::to_string(&summary).unwrap();
        assert_eq!(Summary::read(&json).unwrap(), summary);
    }

    #[test]
    fn another_version_is_refused_before_anything_else_is_looked_at() {
        for json in
            [r#"{ "bytes": "renamed", "version": 2 }"#, &json().replacen("\"version\":1", "\"version\":2", 1)]
        {
            let error = Summary::read(json).unwrap_err();
            assert!(matches!(error, ReadError::Version(2)));
            assert_eq!(
                error.to_string(),
                "the measurement is kept in format version 2; this c10k reads version 1, a newer one may read it"
            );
        }
    }

    #[test]
    fn another_version_is_refused_inside_another_record() {
        #[derive(Debug, Deserialize)]
        struct Record {
            #[expect(dead_code, reason = "it is never read")]
            measured: Box<Summary>,
        }
        let json = format!(r#"{{ "measured": {} }}"#, json().replacen("\"version\":1", "\"version\":2", 1));
        let error = serde_json::from_str::<Record>(&json).unwrap_err().to_string();
        assert!(error.starts_with("the measurement is kept in format version 2"), "{error}");
    }

    #[test]
    fn what_is_no_summary_is_refused() {
        assert!(matches!(Summary::read("{}"), Err(ReadError::Format(_))));
        assert!(matches!(Summary::read("bytes"), Err(ReadError::Format(_))));
    }

    #[test]
    fn a_record_of_before_there_were_checks_is_read_and_holds_nothing_against_itself() {
        let mut json: serde_json::Value = serde_json::from_str(&json()).unwrap();
        let keys = json.as_object_mut().unwrap();
        for key in ["checks", "valid", "fairness", "kernel", "send_lag_us"] {
            keys.remove(key);
        }
        keys["latency_us"].as_object_mut().unwrap().remove("ci95");
        let summary = Summary::read(&json.to_string()).unwrap();
        assert!(summary.valid && summary.checks.is_empty() && summary.latency_us.ci95.is_none());
    }

    #[test]
    fn keys_that_are_not_known_yet_are_passed_over() {
        assert!(Summary::read(&json().replacen('{', r#"{ "of_tomorrow": [1],"#, 1)).is_ok());
    }

    #[test]
    fn the_committed_schema_is_that_of_the_types() {
        let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
        let mut schema = serde_json::to_string_pretty(&generator.into_root_schema_for::<Summary>()).unwrap();
        schema.push('\n');
        if env::var_os("UPDATE_SCHEMA").is_some() {
            fs::write(SCHEMA, &schema).unwrap();
        }
        let committed = fs::read_to_string(SCHEMA).unwrap_or_default();
        assert!(
            committed == schema,
            "{SCHEMA} is out of date: run `UPDATE_SCHEMA=1 cargo test -p c10k-loadgen --lib schema`"
        );
    }
}
