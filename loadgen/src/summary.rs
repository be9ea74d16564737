//! [`Summary`], the wire format of a run's results: the numbers of a [`Measurement`], its judgement
//! and its intervals.
//!
//! It is version 1 of `c10k load --json`: keys may be added, but none is renamed or removed.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::addresses::Addresses;
use crate::bound::LowerBounds;
use crate::check::{self, CheckOutcome};
use crate::confidence::{self, Intervals};
use crate::example::{ErrorExamples, StatusCodes};
use crate::measurement::{
    Bodies, Bytes, Connections, Distributions, Errors, ErrorsAt, Fairness, Generator,
    GeneratorLimits, KernelCounters, Measurement, Requests, StartUp, Times,
};
use crate::percentile;
use crate::settings::Settings;
use crate::slow::SlowClients;

/// The version of the wire format that this crate writes and reads.
pub const VERSION: u32 = 1;

/// Version 1 of `c10k load --json`: the wire format of a [`Measurement`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// [`VERSION`]; other versions are refused.
    #[serde(deserialize_with = "known_version")]
    #[cfg_attr(test, schemars(extend("const" = VERSION)))]
    pub version: u32,
    /// The requested URL.
    pub target: String,
    /// Workload that the generator was given; absent in records that are older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Settings>,
    /// `closed` or `open`.
    pub r#loop: String,
    /// Requests per second that an open loop intended to send; absent in a closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_rps: Option<f64>,
    /// Completed requests per second.
    pub throughput_rps: f64,
    /// Length of the measured part, in seconds.
    pub duration_s: f64,
    /// Requests by outcome.
    pub requests: Requests,
    /// Connections by outcome.
    pub connections: Connections,
    /// Outcome of slow clients; absent if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<SlowClients>,
    /// Failures by kind.
    pub errors: Errors,
    /// Failures by address, where the target has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors_by_address: Vec<ErrorsAt>,
    /// Time that the resolver took for the name of the host before the run, redirections included;
    /// absent if no name was looked up. No other time includes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_us: Option<f64>,
    /// Addresses of the target; absent in records that are older than this field.
    #[serde(default)]
    pub addresses: Addresses,
    /// One example of each kind of failure.
    #[serde(default, skip_serializing_if = "ErrorExamples::is_empty")]
    pub error_examples: ErrorExamples,
    /// Responses by status code, failed ones included.
    #[serde(default, skip_serializing_if = "StatusCodes::is_empty")]
    pub status_codes: StatusCodes,
    /// From the intended send time to the last byte.
    pub latency_us: Percentiles,
    /// Latencies of completed requests by kind, for requests whose response names their kind in its
    /// field `Server-Timing`; empty if none does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latency_us_by_kind: BTreeMap<String, Percentiles>,
    /// From the actual send to the last byte.
    pub service_us: Percentiles,
    /// From `connect` to the established connection.
    pub connect_us: Percentiles,
    /// From the actual send to the first byte.
    pub first_byte_us: Percentiles,
    /// From the intended send time to the actual send, for requests that found a connection free.
    #[serde(default)]
    pub send_lag_us: Percentiles,
    /// From the time at which a request needed only a connection to the `connect` for it, for
    /// requests for which a connection was made.
    #[serde(default)]
    pub connect_wait_us: Percentiles,
    /// Latency without `connect_wait_us`: the part that is due to the server and the network.
    #[serde(default)]
    pub response_us: Percentiles,
    /// Bytes that crossed the sockets.
    pub bytes: Bytes,
    /// Lengths of the response bodies.
    #[serde(default)]
    pub bodies: Bodies,
    /// Resources that the generator itself used.
    pub generator: Generator,
    /// Connections that were not made because the generator lacked a resource, over the whole run.
    #[serde(default)]
    pub generator_limits: GeneratorLimits,
    /// Fairness of the server between connections.
    #[serde(default)]
    pub fairness: Fairness,
    /// Start-up before the measured part; absent in records that are older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_up: Option<StartUp>,
    /// Counters of this machine's kernel from the first connect on; absent if they can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelCounters>,
    /// Outcomes of the validity checks that apply; none in records that are older than the checks.
    #[serde(default)]
    pub checks: Vec<CheckOutcome>,
    /// True if the numbers can be believed: no check failed.
    #[serde(default = "unless_told")]
    pub valid: bool,
}

/// Returns true, because nothing speaks against a measurement that is older than the checks.
fn unless_told() -> bool {
    true
}

/// Reason why a text is no summary.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The text has another version of the format.
    #[error("{}", unknown_version(*.0))]
    Version(u32),
    /// The text is not in the format of [`VERSION`].
    #[error("this is no result of `c10k load --json`: {0}")]
    Format(#[from] serde_json::Error),
}

fn unknown_version(version: u32) -> String {
    format!(
        "the measurement is kept in format version {version}; this c10k reads version {VERSION}, a newer one may read it"
    )
}

/// Refuses versions that this crate does not know, even in a summary that is part of another
/// record.
fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        VERSION => Ok(VERSION),
        version => Err(D::Error::custom(unknown_version(version))),
    }
}

impl Summary {
    /// Reads the output of `c10k load --json`.
    ///
    /// # Errors
    /// Fails if the text is something else, or of another version. The version is checked first:
    /// the structure of another version is unknown.
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

    /// Returns true if a request failed or a connection could not be made.
    pub fn has_failures(&self) -> bool {
        self.requests.failed > 0 || self.errors.total() > 0
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
    /// 95 % confidence intervals; only of latency, in open loops with a long enough requested
    /// duration, unless a check found no steady state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci95: Option<Intervals>,
    /// Percentiles that are lower bounds, because they rest on the ages of requests without a
    /// response: the true ones may be larger. Only of latency and response.
    #[serde(default, skip_serializing_if = "LowerBounds::is_empty")]
    pub lower_bounds: LowerBounds,
    /// Highest quantile (0 to 1) that is known if some requests failed without a time: they may
    /// have been the slowest ones. Absent if none failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_to: Option<f64>,
}

impl From<&Measurement> for Summary {
    fn from(measured: &Measurement) -> Self {
        let duration_s = measured.duration.as_secs_f64();
        let checks = check::outcomes(measured);
        let Distributions {
            latency,
            service,
            connect,
            first_byte,
            send_lag,
            connect_wait,
            response,
            unanswered,
        } = &measured.times;
        let lower_bounds = LowerBounds::of(latency, unanswered);
        let failed = measured.errors.without_a_time();
        let of_requests = |times| Percentiles::of(times).without(failed);
        Self {
            version: VERSION,
            target: measured.target.clone(),
            workload: Some(Settings::from(&measured.workload)),
            r#loop: measured.workload.pacing.to_string(),
            offered_rps: measured.workload.pacing.rate(),
            // Zero if no time was measured: JSON has no NaN.
            throughput_rps: measured.throughput_rps(),
            duration_s,
            requests: measured.requests,
            connections: measured.connections,
            slow: measured.slow,
            errors: measured.errors,
            errors_by_address: measured.errors_at.clone(),
            dns_us: measured.lookup.map(|took| took.as_secs_f64() * 1e6),
            addresses: measured.addresses.clone(),
            error_examples: measured.error_examples.clone(),
            status_codes: measured.status_codes.clone(),
            latency_us: Percentiles {
                ci95: check::is_steady(&checks).then(|| confidence::intervals(measured)).flatten(),
                lower_bounds,
                ..of_requests(latency)
            },
            latency_us_by_kind: measured
                .kinds
                .iter()
                .map(|(kind, times)| (kind.clone(), of_requests(times)))
                .collect(),
            service_us: of_requests(service),
            connect_us: Percentiles::of(connect).without(measured.errors.connect),
            first_byte_us: of_requests(first_byte),
            send_lag_us: Percentiles::of(send_lag),
            connect_wait_us: Percentiles::of(connect_wait),
            // The bounds of latency hold here, too, because the same requests were not answered.
            response_us: Percentiles { lower_bounds, ..of_requests(response) },
            bytes: measured.bytes,
            bodies: measured.bodies,
            generator: measured.generator,
            generator_limits: measured.generator_limits,
            fairness: measured.fairness,
            start_up: Some(measured.start_up),
            kernel: measured.kernel,
            valid: check::is_valid(&checks),
            checks,
        }
    }
}

impl Percentiles {
    /// Reads the percentiles of a distribution of nanoseconds.
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
            lower_bounds: LowerBounds::default(),
            known_to: None,
        }
    }

    /// Takes into account that `failed` further requests have no time.
    fn without(self, failed: u64) -> Self {
        Self { known_to: percentile::known_to(failed, self.count), ..self }
    }

    /// Returns true if the percentile at `quantile` (0 to 1) can be shown: enough samples lie
    /// beyond it, and no failed request may belong below it.
    pub fn supports(&self, quantile: f64) -> bool {
        quantile <= percentile::last_known(self.count, self.known_to)
    }

    /// Returns true if the percentile at `quantile` (0 to 1, which is the maximum) is a lower
    /// bound, to be shown as `≥`: it rests on the ages of requests without a response.
    pub fn is_bound(&self, quantile: f64) -> bool {
        self.lower_bounds.contains(quantile)
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use schemars::generate::SchemaSettings;

    use super::*;
    use crate::check::fixture;
    use crate::workload::Arrivals;

    /// Path of the committed schema; the last test shows how it is made.
    const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/summary.schema.json");

    fn json() -> String {
        serde_json::to_string(&Summary::from(&fixture::open(Arrivals::Poisson))).unwrap()
    }

    #[test]
    fn a_written_summary_is_read_again() {
        let summary = Summary::from(&fixture::closed());
        assert!(summary.valid && !summary.checks.is_empty());
        let json = serde_json::to_string(&summary).unwrap();
        assert_eq!(Summary::read(&json).unwrap(), summary);
    }

    #[test]
    fn another_version_is_refused_before_anything_else_is_looked_at() {
        for json in [
            r#"{ "bytes": "renamed", "version": 2 }"#,
            &json().replacen("\"version\":1", "\"version\":2", 1),
        ] {
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
        let json = format!(
            r#"{{ "measured": {} }}"#,
            json().replacen("\"version\":1", "\"version\":2", 1)
        );
        let error = serde_json::from_str::<Record>(&json).unwrap_err().to_string();
        assert!(error.starts_with("the measurement is kept in format version 2"), "{error}");
    }

    #[test]
    fn a_text_that_is_no_summary_is_refused() {
        assert!(matches!(Summary::read("{}"), Err(ReadError::Format(_))));
        assert!(matches!(Summary::read("bytes"), Err(ReadError::Format(_))));
    }

    #[test]
    fn a_record_that_is_older_than_checks_is_read_and_valid() {
        let mut json: serde_json::Value = serde_json::from_str(&json()).unwrap();
        let keys = json.as_object_mut().unwrap();
        for key in [
            "checks",
            "valid",
            "fairness",
            "kernel",
            "send_lag_us",
            "connect_wait_us",
            "response_us",
            "start_up",
            "workload",
            "bodies",
            "generator_limits",
            "addresses",
            "error_examples",
            "status_codes",
        ] {
            keys.remove(key);
        }
        keys["latency_us"].as_object_mut().unwrap().remove("ci95");
        let summary = Summary::read(&json.to_string()).unwrap();
        assert!(summary.valid && summary.checks.is_empty() && summary.latency_us.ci95.is_none());
    }

    #[test]
    fn unknown_keys_are_ignored() {
        assert!(Summary::read(&json().replacen('{', r#"{ "of_tomorrow": [1],"#, 1)).is_ok());
    }

    #[test]
    fn the_committed_schema_is_that_of_the_types() {
        let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
        let mut schema =
            serde_json::to_string_pretty(&generator.into_root_schema_for::<Summary>()).unwrap();
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
