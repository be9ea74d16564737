//! Measures the cells of a suite in rounds. Each round has an order of its own, and every subject
//! is a fresh process.
//!
//! A round measures every cell once, so that a machine that becomes slower during a run does so for
//! all cells alike. The order is shuffled, so that no cell always follows the same one.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use c10k_loadgen::check::{Effect, Verdict};
use c10k_loadgen::summary::Percentiles;
use c10k_loadgen::workload::{Pacing, Until};
use c10k_loadgen::{HdrLog, Interval, Summary, Target, Workload};
use c10k_reports::record::{self, Outcome, Record, Run};
use c10k_reports::{RunWriter, metric, slug};
use jiff::Timestamp;

use crate::cpus::CpuList;
use crate::disturbance;
use crate::environment;
use crate::interrupt::Interrupt;
use crate::machine_speed::MachineSpeed;
use crate::master;
use crate::measure::measure;
use crate::network::Network;
use crate::nothing;
use crate::pass::Bench;
use crate::plan::Plan;
use crate::probe::{self, Readings};
use crate::procedure::Capacity;
use crate::progress::Progress;
use crate::subject::client::{check_page, drain};
use crate::subject::{RunningSubject, Settings, Subject};
use crate::suite::Cell;
use crate::suite::load::Load;

/// Outcome of a run.
#[derive(Debug)]
pub struct Finished {
    /// The folder of the run.
    pub dir: PathBuf,
    /// Measurements that did not run to their end.
    pub failed: usize,
    /// Measurements in which requests failed.
    pub with_failed_requests: usize,
    /// Measurements that ran to their end but failed a check.
    pub not_valid: usize,
    /// True if the user ended the run.
    pub interrupted: bool,
    /// Error that ended the run early, if a measurement could not be kept.
    pub lost: Option<c10k_reports::Error>,
}

/// Measures all cells, or as many as there is time for until `interrupt`.
///
/// # Errors
/// When the run can't be started: its folder can't be written, or the generator can't be pinned.
pub fn run(plan: &Plan<'_>, interrupt: &Interrupt) -> Result<Finished> {
    let writer = RunWriter::create(plan.reports_dir, &environment::of(plan))?;
    go_on(plan, writer, &[], interrupt)
}

/// Resumes an interrupted run of the same plan.
///
/// # Errors
/// When the run can't be resumed: its folder can't be written, or the generator can't be pinned.
pub fn resume(plan: &Plan<'_>, run: &Run, interrupt: &Interrupt) -> Result<Finished> {
    go_on(plan, RunWriter::resume(&run.dir)?, &run.records, interrupt)
}

/// Measures the cells that are not among `records`.
fn go_on(
    plan: &Plan<'_>,
    mut writer: RunWriter,
    records: &[Record],
    interrupt: &Interrupt,
) -> Result<Finished> {
    if let Some(generator) = &plan.placement.generator {
        generator.pin()?;
    }
    probe::prepare(plan.placement.server.as_ref().unwrap_or(plan.cpus));
    let dir = writer.dir().to_owned();
    let mut finished = Finished {
        dir,
        failed: 0,
        with_failed_requests: 0,
        not_valid: 0,
        interrupted: false,
        lost: None,
    };
    let done: HashSet<(u32, &record::Cell)> = records
        .iter()
        .filter(|record| !record.superseded)
        .map(|record| (record.round, &record.cell))
        .collect();
    let mut order = plan.order();
    order.retain(|(round, cell)| !done.contains(&(*round, &plan.suite.names(*cell))));
    let repeated = records.iter().filter(|record| record.superseded).count();
    let mut repeats = disturbance::repeats(plan.measurements()).saturating_sub(repeated);
    let mut speed = MachineSpeed::new(&plan.placement);
    let mut progress = Progress::new(order.len(), plan.estimate_of(&order));
    let mut left = order.into_iter();
    let mut next = left.next();
    while let Some((round, cell)) = next {
        let slowdown = speed.settle();
        let measuring = Measuring { plan, dir: &finished.dir, interrupt, round, cell, slowdown };
        let mut record = measuring.record(repeats > 0);
        if interrupt.happened() {
            // An interrupted measurement is discarded.
            break;
        }
        if record.superseded {
            repeats -= 1;
            measuring.discard_histograms(&mut record);
            progress.note(&describe(&record));
        } else {
            finished.count(&record);
            progress.advance(&describe(&record), !record.valid);
            next = left.next();
        }
        if let Err(error) = writer.append(&record) {
            finished.lost = Some(error);
            break;
        }
    }
    progress.finish();
    finished.interrupted = interrupt.happened();
    Ok(finished)
}

impl Finished {
    fn count(&mut self, record: &Record) {
        match &record.outcome {
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Measured(summary) if summary.has_failures() => {
                self.with_failed_requests += 1;
            }
            Outcome::Measured(_) if !record.valid => self.not_valid += 1,
            Outcome::Measured(_) => {}
        }
    }
}

/// One measurement.
struct Measuring<'a> {
    plan: &'a Plan<'a>,
    /// The folder of the run.
    dir: &'a Path,
    interrupt: &'a Interrupt,
    round: u32,
    cell: Cell,
    /// Factor by which the machine was slower than before.
    slowdown: f64,
}

/// Processors of the server, and the network between it and the generator.
struct Surroundings {
    server_cpus: Option<CpuList>,
    /// Network that was made for this measurement; `None` for loopback.
    network: Option<Network>,
}

impl Surroundings {
    /// Runs `action` on the generator's side of the network. Everything that connects to the server
    /// has to run there.
    fn at_the_generator<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T> {
        match &self.network {
            None => Ok(action()),
            Some(network) => network.client().within(action),
        }
    }
}

/// Result of a measurement that ran to its end.
struct Measured {
    summary: Box<Summary>,
    readings: Readings,
    histograms: String,
    search: Option<record::Search>,
}

impl Measuring<'_> {
    /// Measures, and returns the record of the outcome. A failure is a record with its error. If the
    /// measurement was disturbed and `may_be_repeated`, another one will supersede it.
    fn record(&self, may_be_repeated: bool) -> Record {
        let suite = self.plan.suite;
        let mut record =
            Record::begun(suite.names(self.cell), self.round, Timestamp::now().to_string());
        record.parameters = suite.parameters(self.cell);
        record.command = self.command();
        let filled = self.surroundings().and_then(|surroundings| {
            let fill = || self.fill(&mut record, &surroundings, may_be_repeated);
            surroundings.at_the_generator(fill).flatten()
        });
        if let Err(error) = filled {
            record.outcome = Outcome::Failed(format!("{error:#}"));
        }
        record
    }

    /// Measures, and fills in the record of a measurement that ran to its end.
    fn fill(
        &self,
        record: &mut Record,
        surroundings: &Surroundings,
        may_be_repeated: bool,
    ) -> Result<()> {
        keep(record, self.measure(surroundings)?);
        record.readings.insert(disturbance::SLOWDOWN.to_owned(), self.slowdown);
        record.disturbed = disturbance::of(record, self.plan.cpus.numbers().len());
        record.superseded = record.disturbed.is_some() && may_be_repeated;
        if self.round == 1 && !record.superseded {
            self.run_passes(record, surroundings);
        }
        record.metrics = metric::compute(record);
        Ok(())
    }

    fn measure(&self, surroundings: &Surroundings) -> Result<Measured> {
        let histograms = self.histograms();
        let log = self.dir.join(&histograms);
        let measured = self.measure_timed(&log, surroundings);
        if measured.is_err() || self.interrupt.happened() {
            // No record will name this file.
            let _ = fs::remove_file(&log);
        }
        let (summary, readings, search) = measured?;
        Ok(Measured { summary: Box::new(summary), readings, histograms, search })
    }

    /// Deletes the histograms of this measurement, because another measurement replaces it.
    fn discard_histograms(&self, record: &mut Record) {
        if let Some(name) = record.histograms.take() {
            let _ = fs::remove_file(self.dir.join(name));
        }
    }

    /// Starts the server, measures it once or in the steps of a search, and stops it.
    fn measure_timed(
        &self,
        log: &Path,
        surroundings: &Surroundings,
    ) -> Result<(Summary, Readings, Option<record::Search>)> {
        let running = self.subject().start(&self.settings(surroundings, &[]))?;
        let path = self.path();
        if self.subject().serves_page && self.load().path == "/" {
            check_page(running.address(), path)?;
        }
        let target = Target::resolve(&format!("http://{}{path}", running.address()))?;
        let (summary, readings, search) =
            match &self.plan.suite.workloads[self.cell.workload].objective {
                None => {
                    let (summary, readings) =
                        self.measure_once(&target, self.workload(), Some(log), &running)?;
                    (summary, readings, None)
                }
                Some(objective) => {
                    let capacity = Capacity {
                        objective,
                        workload: self.workload(),
                        seed: self.plan.seed.wrapping_add(self.round.into()),
                        interrupt: self.interrupt,
                        drain: || drain(running.address(), path, self.plan.suite.timeout),
                        measure: |workload, log: Option<&Path>| {
                            self.measure_once(&target, workload, log, &running)
                        },
                    };
                    let (summary, readings, search) = capacity.find(log)?;
                    (summary, readings, Some(search))
                }
            };
        running.stop()?;
        Ok((summary, readings, search))
    }

    /// Runs the generator once. Without a log, its histograms are not kept.
    fn measure_once(
        &self,
        target: &Target,
        workload: Workload,
        log: Option<&Path>,
        running: &RunningSubject,
    ) -> Result<(Summary, Readings)> {
        if let Some(generator) = &self.plan.suite.generator {
            let summary = master::measure(generator, target, &workload, log, self.interrupt)?;
            return Ok((summary, Readings::none(master::NO_READINGS)));
        }
        let cannot_write = || format!("cannot write {}", log.unwrap_or(self.dir).display());
        let mut file = log.map(HdrLog::create).transpose().with_context(cannot_write)?;
        let append = |interval: &Interval| {
            file.as_mut().map_or(Ok(()), |file| file.append(interval)).with_context(cannot_write)
        };
        let (measured, readings) = measure(
            target.clone(),
            workload,
            Some(running.server()),
            self.interrupt.flag(),
            append,
        )?;
        ensure!(
            measured.requests.completed > 0,
            "{}{}",
            nothing::line(&measured, false),
            nothing::others(&readings, measured.duration)
        );
        Ok((Summary::from(&measured), readings))
    }

    /// Runs the passes, which are measurements beside the timed one. Values that a pass can't find
    /// are missing, with the reason.
    fn run_passes(&self, record: &mut Record, surroundings: &Surroundings) {
        let launch = |prefix: &[OsString], connections: Option<usize>| {
            let settings = self.settings(surroundings, prefix);
            let connections = connections.unwrap_or(settings.connections);
            self.subject().start(&Settings { connections, ..settings })
        };
        let bench = Bench {
            launch: &launch,
            path: self.path(),
            workload: &self.workload(),
            interrupt: self.interrupt,
        };
        for pass in &self.plan.suite.workloads[self.cell.workload].passes {
            match (pass.run)(&bench) {
                Ok(values) => record.readings.extend(values),
                Err(error) => {
                    _ = record.missing.insert(pass.name.to_owned(), format!("{error:#}"));
                }
            }
        }
    }

    fn subject(&self) -> &Subject {
        &self.plan.suite.subjects[self.cell.subject].subject
    }

    fn load(&self) -> &Load {
        &self.plan.suite.workloads[self.cell.workload].load
    }

    /// Returns the path to request from this server for the path of the workload.
    fn path(&self) -> &str {
        self.subject().path(&self.load().path)
    }

    fn workload(&self) -> Workload {
        let suite = self.plan.suite;
        let load = self.load();
        let mut workload = Workload {
            until: Until::Elapsed(suite.pace.duration),
            warmup: suite.pace.warmup,
            timeout: suite.timeout,
            interval: Workload::interval_of(suite.pace.duration),
            threads: load
                .threads
                .map_or_else(|| self.plan.placement.generator_threads(), Into::into),
            ..load.workload.clone()
        };
        if let Pacing::Open { seed, .. } = &mut workload.pacing {
            // Arrivals differ between rounds, and are the same for all subjects of a round.
            *seed = self.plan.seed.wrapping_add(self.round.into());
        }
        workload
    }

    /// Returns the address that the server listens on.
    fn address(&self) -> IpAddr {
        let generator = self.plan.suite.generator.as_ref();
        generator.map_or_else(|| self.load().server_address().into(), |generator| generator.host)
    }

    fn server_cpus(&self) -> Result<Option<CpuList>> {
        self.plan.placement.server_with(self.load().processors, self.plan.cpus)
    }

    /// Makes the surroundings of one measurement.
    fn surroundings(&self) -> Result<Surroundings> {
        let network = self.load().network().map(Network::build).transpose()?;
        Ok(Surroundings { server_cpus: self.server_cpus()?, network })
    }

    fn settings<'s>(
        &'s self,
        surroundings: &'s Surroundings,
        prefix: &'s [OsString],
    ) -> Settings<'s> {
        Settings {
            cpus: surroundings.server_cpus.as_ref(),
            workers: self.plan.suite.workers(self.cell),
            handler_threads: self.plan.suite.handler_threads(self.cell),
            backlog: self.load().backlog,
            prefix,
            address: self.address(),
            host: surroundings.network.as_ref().map(Network::server),
            interrupt: Some(self.interrupt),
            ..Settings::new(self.plan.c10k, self.load().connections())
        }
    }

    fn command(&self) -> String {
        // If there are too few processors, the measurement reports it.
        let server_cpus = self.server_cpus().ok().flatten();
        let surroundings = Surroundings { server_cpus, network: None };
        self.subject().command_line(&self.settings(&surroundings, &[]))
    }

    /// Returns the name of the file of the histograms. The position of the workload in the suite
    /// distinguishes cells with similar names.
    fn histograms(&self) -> String {
        let label: String = slug(&self.plan.suite.label(self.cell)).chars().take(80).collect();
        format!("{:02}-{:03}-{label}.hlog", self.round, self.cell.workload + 1)
    }
}

fn keep(record: &mut Record, measured: Measured) {
    record.checks.clone_from(&measured.summary.checks);
    record.valid = measured.summary.valid;
    record.outcome = Outcome::Measured(measured.summary);
    record.readings = measured.readings.values;
    record.cpu_account = measured.readings.cpu_account;
    record.missing = measured.readings.missing;
    record.histograms = Some(measured.histograms);
    record.search = measured.search;
}

/// Returns a line for the progress: the numbers of a measurement, and its problems.
fn describe(record: &Record) -> String {
    let outcome = match &record.outcome {
        Outcome::Failed(error) => format!("failed: {error}"),
        Outcome::Measured(_) if record.search.is_some() => capacity(record),
        Outcome::Measured(summary) => {
            let failed = summary.requests.failed + summary.errors.connect;
            let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
            format!(
                "{}{:.0} requests/s, p99 {}{failed}{}",
                at_least(record.has_effect(Effect::ThroughputIsABound)),
                summary.throughput_rps,
                p99(&summary.latency_us),
                verdicts(record)
            )
        }
    };
    let disturbed = match (&record.disturbed, record.superseded) {
        (None, _) => String::new(),
        (Some(reason), true) => format!("; DISTURBED, measured again: {reason}"),
        (Some(reason), false) => format!("; DISTURBED: {reason}"),
    };
    format!(
        "{}/{} (round {}): {outcome}{disturbed}",
        record.cell.subject, record.cell.workload, record.round
    )
}

/// Describes the result of a search.
fn capacity(record: &Record) -> String {
    let Some(search) = &record.search else { return String::new() };
    let bound = at_least(search.breaks_rps.is_none());
    format!("{bound}{:.0} requests/s meet {}", search.holds_rps, search.objective)
}

/// Formats p99, or a dash if the samples or the failures do not support it.
fn p99(times: &Percentiles) -> String {
    if times.supports(0.99) {
        format!("{}{:.0} µs", at_least(times.is_bound(0.99)), times.p99)
    } else {
        "–".into()
    }
}

/// Returns the sign in front of a number that is a lower bound: a throughput that the generator
/// limits, or a percentile that rests on requests without a response. Empty for other numbers.
fn at_least(is_bound: bool) -> &'static str {
    if is_bound { "≥ " } else { "" }
}

/// Describes the checks that failed.
fn verdicts(record: &Record) -> String {
    let failed = record.checks.iter().filter(|check| check.verdict == Verdict::Fail);
    failed.fold(String::new(), |text, check| {
        text + "; NOT VALID, " + &check.name + ": " + &check.detail
    })
}
