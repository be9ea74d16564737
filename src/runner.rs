//! Measures the cells of a suite: in rounds, each in an order of its own, every subject a fresh process.
//!
//! A round measures every cell once, so that a machine that grows slower in the middle does so for all of them alike; the
//! order is shuffled, so that no cell always follows the same one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use c10k_loadgen::workload::Until;
use c10k_loadgen::{HdrLog, Interval, Summary, Target, Workload};
use c10k_reports::RunWriter;
use c10k_reports::record::{self, Cell, Environment, Outcome, Parameters, Record, ServerUsage, VERSION};
use jiff::Timestamp;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::cpus::CpuList;
use crate::environment;
use crate::interrupt::Interrupt;
use crate::measure::measure;
use crate::probe::Readings;
use crate::progress::Progress;
use crate::subject::client::check_page;
use crate::subject::{Settings, Subject};
use crate::suite::{Suite, SuiteWorkload, label};

/// What starting and stopping a subject adds to a measurement, for the time left that is shown.
const OVERHEAD: Duration = Duration::from_millis(200);

/// What is to be measured, how, and where it is written.
#[derive(Debug)]
pub struct Experiment<'a> {
    pub suite: &'a Suite,
    pub cells: Vec<Cell>,
    pub seed: u64,
    /// The processors that may be used, as they were before anything was pinned.
    pub cpus: &'a CpuList,
    /// The binary that serves.
    pub c10k: &'a Path,
    pub reports_dir: &'a Path,
}

/// What became of an experiment.
#[derive(Debug)]
pub struct Finished {
    /// The folder of the run.
    pub dir: PathBuf,
    /// Measurements that failed, or in which a request did.
    pub failed: usize,
    /// Whether the user ended it.
    pub interrupted: bool,
    /// Why it ended early, where a measurement could not be kept.
    pub lost: Option<c10k_reports::Error>,
}

/// One measurement: its outcome, what the probes read, and the name of its histograms.
type Measured = (Box<Summary>, Readings, String);

impl Experiment<'_> {
    /// Measures everything, or what there is time for until `interrupt`.
    pub fn run(&self, interrupt: &Interrupt) -> Result<Finished> {
        let split = self.cpus.split();
        if let Some((_, generator)) = &split {
            generator.pin()?;
        }
        let server_cpus = split.as_ref().map(|(server, _)| server);
        let mut writer = RunWriter::create(self.reports_dir, &self.environment(split.as_ref()))?;
        let total = self.cells.len() * self.suite.pace.rounds as usize;
        let mut progress = Progress::new(total, self.suite.pace.warmup + self.suite.pace.duration + OVERHEAD);
        let (mut failed, mut lost) = (0, None);
        let mut order = ChaCha8Rng::seed_from_u64(self.seed);
        'rounds: for round in 1..=self.suite.pace.rounds {
            let mut cells = self.cells.clone();
            cells.shuffle(&mut order);
            for cell in cells {
                let record = self.measure(cell, round, server_cpus, writer.dir(), interrupt);
                if interrupt.happened() {
                    // What was cut short is no measurement.
                    break 'rounds;
                }
                failed += usize::from(has_failed(&record));
                progress.advance(&describe(&record));
                if let Err(error) = writer.append(&record) {
                    lost = Some(error);
                    break 'rounds;
                }
            }
        }
        progress.finish();
        Ok(Finished { dir: writer.dir().to_owned(), failed, interrupted: interrupt.happened(), lost })
    }

    fn measure(
        &self,
        cell: Cell,
        round: u32,
        server_cpus: Option<&CpuList>,
        dir: &Path,
        interrupt: &Interrupt,
    ) -> Record {
        let started_utc = Timestamp::now().to_string();
        let measured = self.try_measure(&cell, round, server_cpus, dir, interrupt);
        let (outcome, readings, histograms) = match measured {
            Ok((summary, readings, histograms)) => (Outcome::Measured(summary), readings, Some(histograms)),
            Err(error) => (Outcome::Failed(format!("{error:#}")), Readings::default(), None),
        };
        Record {
            version: VERSION,
            cell,
            parameters: Parameters::new(),
            round,
            started_utc,
            command: String::new(),
            outcome,
            server: usage(&readings),
            readings: readings.values,
            missing: readings.missing,
            metrics: BTreeMap::new(),
            checks: Vec::new(),
            valid: true,
            histograms,
        }
    }

    fn try_measure(
        &self,
        cell: &Cell,
        round: u32,
        server_cpus: Option<&CpuList>,
        dir: &Path,
        interrupt: &Interrupt,
    ) -> Result<Measured> {
        let subject = self.suite.subject(cell).context("the cell has no subject")?;
        let workload = self.suite.workload(cell).context("the cell has no workload")?;
        let running = subject.start(&self.settings(workload.connections, server_cpus))?;
        if subject.serves_page {
            check_page(running.address(), subject.path("/"))?;
        }
        let path = subject.path(&workload.path);
        let target = Target::resolve(&format!("http://{}{path}", running.address()))?;
        let histograms = format!("{round:02}-{}.hlog", label(cell).replace('/', "--"));
        let load = self.load(workload);
        let path = dir.join(&histograms);
        let cannot_write = || format!("cannot write {}", path.display());
        let mut log = HdrLog::create(&path).with_context(cannot_write)?;
        let keep = |interval: &Interval| log.append(interval).with_context(cannot_write);
        let (measured, readings) = measure(target, load, running.pid(), interrupt.flag(), keep)?;
        running.stop()?;
        ensure!(measured.requests.completed > 0, "no request was answered; errors: {}", measured.errors);
        Ok((Box::new(Summary::from(&measured)), readings, histograms))
    }

    fn settings<'a>(&'a self, connections: usize, cpus: Option<&'a CpuList>) -> Settings<'a> {
        Settings { cpus, ..Settings::new(self.c10k, connections) }
    }

    fn load(&self, workload: &SuiteWorkload) -> Workload {
        Workload {
            connections: workload.connections,
            lifetime: workload.lifetime,
            warmup: self.suite.pace.warmup,
            timeout: self.suite.timeout,
            ..Workload::lasting(Until::Elapsed(self.suite.pace.duration))
        }
    }

    fn environment(&self, split: Option<&(CpuList, CpuList)>) -> Environment {
        let (server, generator) =
            split.map_or((&[][..], &[][..]), |(server, generator)| (server.numbers(), generator.numbers()));
        let subject = |subject: &Subject| record::Subject {
            name: subject.name.clone(),
            command: subject.command_template(),
            version: subject.version(self.c10k),
            traits: subject.profile.clone(),
        };
        let workload = |workload: &SuiteWorkload| record::WorkloadEntry {
            name: workload.name.clone(),
            description: workload.description(),
            parameters: Parameters::new(),
            connections: workload.connections,
            lifetime: workload.lifetime.to_string(),
        };
        Environment {
            version: VERSION,
            suite: self.suite.name.clone(),
            purpose: self.suite.purpose.clone(),
            started_utc: Timestamp::now().to_string(),
            command: std::env::args_os()
                .map(|arg| arg.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(" "),
            c10k_version: env!("CARGO_PKG_VERSION").into(),
            revision: environment::revision(),
            seed: self.seed,
            rounds: self.suite.pace.rounds,
            machine: environment::machine(self.cpus.numbers().len()),
            server_cpus: server.to_vec(),
            generator_cpus: generator.to_vec(),
            axes: Vec::new(),
            questions: Vec::new(),
            subjects: self.suite.subjects.iter().map(subject).collect(),
            workloads: self.suite.workloads.iter().map(workload).collect(),
            cells: self.cells.clone(),
            calibration: environment::calibration(self.reports_dir),
        }
    }
}

/// The readings that lines of before there were readings have.
fn usage(readings: &Readings) -> Option<ServerUsage> {
    let value = |key: &str| readings.values.get(key).copied();
    Some(ServerUsage {
        user_s: value("server_cpu_user_s")?,
        system_s: value("server_cpu_system_s")?,
        memory_bytes: value("memory_pss_bytes")? as u64,
        tasks: value("tasks")? as u64,
    })
}

fn has_failed(record: &Record) -> bool {
    match &record.outcome {
        Outcome::Failed(_) => true,
        Outcome::Measured(summary) => summary.requests.failed > 0 || summary.errors.total() > 0,
    }
}

fn describe(record: &Record) -> String {
    let outcome = match &record.outcome {
        Outcome::Failed(error) => format!("failed: {error}"),
        Outcome::Measured(summary) => {
            let failed = summary.requests.failed + summary.errors.connect;
            let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
            format!("{:.0} requests/s, p99 {:.0} µs{failed}", summary.throughput_rps, summary.latency_us.p99)
        }
    };
    format!("{} (round {}): {outcome}", label(&record.cell), record.round)
}
