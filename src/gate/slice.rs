//! A slice: a short measurement of one server of a block.

use std::time::Duration;

use anyhow::Result;
use c10k_ci::block::{Arm, Slice};
use c10k_ci::margin::Margins;
use c10k_loadgen::check::Verdict;
use c10k_loadgen::measurement::Distributions;
use c10k_loadgen::workload::{Arrivals, Pacing, Until};
use c10k_loadgen::{Summary, Target, Workload};
use c10k_reports::metric;
use c10k_reports::record::{Cell, Outcome, Record};

use super::{Measuring, Rehearsal};
use crate::interrupt::Interrupt;
use crate::measure::measure;
use crate::subject::RunningSubject;

/// Traffic at the begin of a slice that is not measured: connections are opened in it, and queues
/// fill. Longer than a round trip of all of them.
const WARMUP: Duration = Duration::from_millis(15);

/// Checks that are about the server rather than the machine or the generator. What a candidate
/// fails and its base does not is a regression of its own.
const OF_THE_SERVER: &[&str] = &["answers", "connections-reused", "errors", "silence", "starvation"];

/// How long before a send of an open loop a worker begins to spin, as `c10k load` has it.
const SPIN: Duration = Duration::from_micros(100);

/// What a slice measured.
#[derive(Debug)]
pub struct Measured {
    record: Record,
    times: Distributions,
}

impl Measured {
    /// Requests per second that completed.
    pub fn throughput(&self) -> f64 {
        self.record.metrics.get("throughput_rps").copied().unwrap_or(0.0)
    }

    /// Its distributions of times.
    pub fn times(&self) -> &Distributions {
        &self.times
    }

    /// The slice as a block keeps it.
    pub fn of(self, pair: u32, arm: Arm, margins: &Margins) -> Slice {
        let Self { mut record, .. } = self;
        record.metrics.retain(|key, _| margins.iter().any(|(known, _)| known == key));
        record.metrics.values_mut().for_each(|value| *value = rounded(*value));
        let failed = record.checks.iter().filter(|check| check.verdict == Verdict::Fail);
        let failed = failed.filter(|check| OF_THE_SERVER.contains(&check.name.as_str()));
        let failed_checks = failed.map(|check| check.name.clone()).collect();
        let failed_share = match &record.outcome {
            Outcome::Measured(summary) => failed_share(summary),
            Outcome::Failed(_) => 1.0,
        };
        Slice { pair, arm, metrics: record.metrics, failed_share, failed_checks }
    }
}

/// The value to six digits, which is far below the noise of everything that is measured, and saves half
/// of the file.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().expect("a formatted number is a number")
}

/// Requests that failed, and connections that could not be made, as a share of what was tried.
fn failed_share(summary: &Summary) -> f64 {
    let failed = summary.requests.failed + summary.errors.connect;
    let tried = summary.requests.completed + failed;
    if tried == 0 { 1.0 } else { failed as f64 / tried as f64 }
}

impl Measuring<'_> {
    /// One slice of a workload.
    pub(super) fn slice(
        &self,
        workload: usize,
        rehearsal: &Rehearsal,
        server: &RunningSubject,
        interrupt: &Interrupt,
    ) -> Result<Measured> {
        let rate = rehearsal.rate(workload);
        self.measure(workload, rate, self.suite.pace.duration, server, interrupt)
    }

    /// Traffic for a fresh server that is not kept.
    pub(super) fn warm_up(
        &self,
        workload: usize,
        rehearsal: &Rehearsal,
        server: &RunningSubject,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let rate = rehearsal.rate(workload);
        self.measure(workload, rate, self.suite.pace.warmup, server, interrupt).map(drop)
    }

    /// Measures a workload for `duration`, in an open loop where there is a rate.
    pub(super) fn measure(
        &self,
        workload: usize,
        rate: Option<f64>,
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
        if let Some(rate) = rate {
            generated.pacing =
                Pacing::Open { rate, arrivals: Arrivals::Poisson, seed: self.seed, spin: SPIN };
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
        Ok(Measured { record, times: measured.times })
    }
}
