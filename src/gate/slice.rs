//! A slice: a short measurement of one server of a block.

use std::time::Duration;

use anyhow::{Result, ensure};
use c10k_ci::block::{Arm, Slice};
use c10k_ci::margin::Margins;
use c10k_loadgen::check::Verdict;
use c10k_loadgen::measurement::Distributions;
use c10k_loadgen::workload::{Arrivals, Pacing, Until};
use c10k_loadgen::{Summary, Target, Workload};
use c10k_reports::metric;
use c10k_reports::record::{Cell, Outcome, Record};

use super::measuring::Measuring;
use super::rehearsal::Rehearsal;
use super::tail::Latencies;
use crate::interrupt::Interrupt;
use crate::measure::measure;
use crate::subject::RunningSubject;
use crate::time;

/// Unmeasured traffic at the start of a slice, in which connections are opened and queues fill. It
/// is longer than a round trip of all connections.
const WARMUP: Duration = Duration::from_millis(15);

/// Checks that are about the server rather than the machine or the generator. A check that the
/// candidate fails and its base does not is a regression by itself.
const OF_THE_SERVER: &[&str] =
    &["answers", "connections-reused", "errors", "silence", "starvation"];

/// Measurement of a slice.
#[derive(Debug)]
pub struct Measured {
    record: Record,
    times: Distributions,
    /// Requests that failed, whose latency is not known.
    failed: u64,
}

impl Measured {
    /// Returns the completed requests per second.
    pub fn throughput(&self) -> f64 {
        self.record.metrics.get("throughput_rps").copied().unwrap_or(0.0)
    }

    /// Returns the median latency, from the intended send to the last byte.
    pub fn median(&self) -> Duration {
        Duration::from_nanos(self.times.latency.value_at_quantile(0.5))
    }

    /// True if requests completed, and their median latency is below `time`.
    pub fn has_answers_below(&self, time: Duration) -> bool {
        self.throughput() > 0.0 && self.median() < time
    }

    /// Returns the distributions of times.
    pub fn times(&self) -> &Distributions {
        &self.times
    }

    /// Returns the latencies from which percentiles are computed.
    pub fn latencies(&self) -> Latencies {
        let Distributions { latency, unanswered, .. } = &self.times;
        Latencies { latency: latency.clone(), unanswered: unanswered.clone(), failed: self.failed }
    }

    /// True if the slice has a value of the metric with `key`.
    pub fn has(&self, key: &str) -> bool {
        self.record.metrics.contains_key(key)
    }

    /// Returns the slice in the form that a block keeps.
    pub fn of(self, pair: u32, arm: Arm, margins: &Margins) -> Slice {
        let Self { record, .. } = self;
        let is_kept =
            |key: &str| margins.iter().any(|(known, _)| known == key) && !is_bound(&record, key);
        let metrics = record.metrics.iter().filter(|(key, _)| is_kept(key));
        let metrics = metrics.map(|(key, value)| (key.clone(), *value)).collect();
        let failed = record.checks.iter().filter(|check| is_failure(&check.name, check.verdict));
        let failed_checks = failed.map(|check| check.name.clone()).collect();
        let failed_share = match &record.outcome {
            Outcome::Measured(summary) => failed_share(summary),
            Outcome::Failed(_) => 1.0,
        };
        Slice { pair, arm, metrics, failed_share, failed_checks }
    }
}

/// Returns true if the value of the metric is a lower bound because responses are missing: the
/// ratio of two bounds says nothing.
///
/// A bound that the generator causes is kept. In slices this short the generator is often at its
/// limit, for both servers alike: a slower server then loses less throughput, and its CPU time
/// shows all of the loss.
fn is_bound(record: &Record, key: &str) -> bool {
    let bound = metric::by_key(key).and_then(|metric| metric.bound.as_ref());
    bound.is_some_and(|bound| !bound.by_generator && (bound.applies)(record))
}

/// True if a check says that the server failed. A redirection or an empty body in place of the page
/// is only a warning of the check `answers`, since it may be intended. Here it is a failure: a
/// candidate that starts to send it does less than its base.
fn is_failure(check: &str, verdict: Verdict) -> bool {
    let fails =
        if check == "answers" { verdict != Verdict::Pass } else { verdict == Verdict::Fail };
    fails && OF_THE_SERVER.contains(&check)
}

/// Returns the failed requests, and the connections that could not be made, as a share of all
/// attempts. An open loop waits for its last responses, so requests that never get one have failed,
/// too. In a closed loop, these can't be distinguished from requests that a busy machine held back
/// at the end of a slice, which is short.
fn failed_share(summary: &Summary) -> f64 {
    let never = if summary.offered_rps.is_some() { summary.requests.never_answered } else { 0 };
    let failed = summary.requests.failed + summary.errors.connect + never;
    let tried = summary.requests.completed + failed;
    // If no request was tried to its end, connections starve, and another check fails.
    if tried == 0 { 0.0 } else { failed as f64 / tried as f64 }
}

impl Measuring<'_> {
    /// Measures one slice of a workload.
    pub(super) fn slice(
        &self,
        workload: usize,
        rehearsal: &Rehearsal,
        server: &RunningSubject,
        seed: u64,
        interrupt: &Interrupt,
    ) -> Result<Measured> {
        let rate = rehearsal.rate(workload);
        self.measure(
            workload,
            rate.map(|rate| (rate, seed)),
            self.suite.pace.duration,
            server,
            interrupt,
        )
    }

    /// Sends traffic to a fresh server; the measurement is not kept.
    pub(super) fn warm_up(
        &self,
        workload: usize,
        rehearsal: &Rehearsal,
        server: &RunningSubject,
        interrupt: &Interrupt,
    ) -> Result<Measured> {
        let rate = rehearsal.rate(workload).map(|rate| (rate, self.seed));
        let before_s = server.server().cpu_s().ok();
        let warmed = self.measure(workload, rate, self.suite.pace.warmup, server, interrupt)?;
        let used_nothing =
            server.server().cpu_s().ok().is_some_and(|now_s| Some(now_s) == before_s);
        ensure!(
            !used_nothing || warmed.throughput() <= 0.0,
            "it used no CPU time while {} was answered: another process listens there",
            server.address()
        );
        Ok(warmed)
    }

    /// Measures a workload for `duration`. If a rate is given, with a seed of its arrivals, the
    /// loop is open.
    pub(super) fn measure(
        &self,
        workload: usize,
        rate: Option<(f64, u64)>,
        duration: Duration,
        server: &RunningSubject,
        interrupt: &Interrupt,
    ) -> Result<Measured> {
        let suite_workload = &self.suite.workloads[workload];
        let load = &suite_workload.load;
        let mut generated = Workload {
            until: Until::Elapsed(duration),
            warmup: WARMUP,
            timeout: self.suite.timeout,
            interval: Workload::interval_of(duration),
            threads: load.threads.map_or_else(|| self.placement.generator_threads(), Into::into),
            ..load.workload.clone()
        };
        if let Some((rate, seed)) = rate {
            generated.pacing =
                Pacing::Open { rate, arrivals: Arrivals::Poisson, seed, spin: time::SPIN };
        }
        let target = Target::resolve(&format!("http://{}{}", server.address(), load.path))?;
        let (measured, readings) =
            measure(target, generated, Some(server.server()), interrupt.flag(), |_| Ok(()))?;
        let cell = Cell { subject: String::new(), workload: suite_workload.name.clone() };
        let mut record = Record::begun(cell, 1, String::new());
        let summary = Summary::from(&measured);
        record.checks.clone_from(&summary.checks);
        record.readings = readings.values;
        record.outcome = Outcome::Measured(Box::new(summary));
        record.metrics = metric::compute(&record);
        Ok(Measured { record, times: measured.times, failed: measured.errors.without_a_time() })
    }
}
