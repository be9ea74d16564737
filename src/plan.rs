//! The plan of a run, made before the first measurement: the cells, their order, and the processors
//! of server and generator.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use c10k_reports::record::Source;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::cores::{self, Cores};
use crate::cpus::CpuList;
use crate::limits;
use crate::subject::Program;
use crate::suite::{Cell, Suite};

/// The cells to be measured, how they are measured, and where results are written.
#[derive(Debug)]
pub struct Plan<'a> {
    pub suite: &'a Suite,
    pub cells: Vec<Cell>,
    /// Subjects or cells that can't be measured here: name and reason.
    pub skipped: Vec<(String, String)>,
    pub seed: u64,
    /// Source of the plan, so that an interrupted run can be resumed.
    pub source: Source,
    /// Processors that may be used, as they were before anything was pinned.
    pub cpus: &'a CpuList,
    pub placement: Placement,
    /// The `c10k` program, which serves the models.
    pub c10k: &'a Program,
    pub reports_dir: &'a Path,
}

/// Processors, program and folder with which a plan of any suite is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Processors that may be used.
    pub cpus: &'a CpuList,
    /// The `c10k` program, which serves the models.
    pub c10k: &'a Program,
    pub reports_dir: &'a Path,
}

/// Processors of the server and of the generator. On a machine with one processor, neither of them
/// is pinned.
#[derive(Debug)]
pub struct Placement {
    pub server: Option<CpuList>,
    pub generator: Option<CpuList>,
    /// Cores of these processors, if the kernel reports them.
    pub cores: Option<Cores>,
}

impl Placement {
    /// Splits the processors between server and generator, by cores.
    pub fn of(cpus: &CpuList) -> Self {
        let (server, generator) = cores::split(cpus).unzip();
        Self { server, generator, cores: Cores::of(cpus) }
    }

    /// Gives all processors to the server, because the generator runs elsewhere.
    pub fn of_server_alone(cpus: &CpuList) -> Self {
        Self { server: Some(cpus.clone()), generator: Some(cpus.clone()), cores: None }
    }

    /// Returns a line about a processor or a core that server and generator have to share; `None`
    /// if they share none.
    pub fn sharing(&self) -> Option<String> {
        let Some((server, generator)) = self.server.as_ref().zip(self.generator.as_ref()) else {
            return Some(
                "server and generator share the only processor: each slows the other, so that \
                 results can be compared only with those of such a machine"
                    .into(),
            );
        };
        (!self.cores.as_ref()?.shared(server, generator).is_empty()).then(|| {
            format!(
                "the processors of the server ({server}) and of the generator ({generator}) are hardware threads \
                 of the only core: they slow each other"
            )
        })
    }

    /// Returns the first `wanted` processors of the server, or all of them if `None`.
    ///
    /// # Errors
    /// When the server has fewer processors.
    pub fn server_with(
        &self,
        wanted: Option<NonZeroUsize>,
        cpus: &CpuList,
    ) -> Result<Option<CpuList>> {
        let Some(wanted) = wanted else { return Ok(self.server.clone()) };
        let available = self.server.as_ref().unwrap_or(cpus);
        let count = available.numbers().len();
        ensure!(
            wanted.get() <= count,
            "its server needs {wanted} processors, and {count} of this machine's are for the \
             server; leave such cells out with --filter processors={count}"
        );
        Ok(Some(available.first(wanted)))
    }

    /// Returns the number of event loops of the generator if a suite does not set it: one for each
    /// of its processors.
    pub fn generator_threads(&self) -> usize {
        self.generator.as_ref().map_or(1, |cpus| cpus.numbers().len())
    }
}

impl<'a> Plan<'a> {
    /// Makes a plan of the cells that can be measured here, and keeps the reasons for the others.
    pub fn new(suite: &'a Suite, cells: &[Cell], seed: u64, place: &Place<'a>) -> Self {
        let mut plan = Self {
            suite,
            cells: Vec::new(),
            skipped: Vec::new(),
            seed,
            source: Source { suite: suite.text.clone(), quick: suite.quick, ..Source::default() },
            cpus: place.cpus,
            placement: match suite.generator {
                None => Placement::of(place.cpus),
                Some(_) => Placement::of_server_alone(place.cpus),
            },
            c10k: place.c10k,
            reports_dir: place.reports_dir,
        };
        for &cell in cells {
            match plan.why_not(cell) {
                None => plan.cells.push(cell),
                Some(skipped) if !plan.skipped.contains(&skipped) => plan.skipped.push(skipped),
                Some(_) => {}
            }
        }
        plan
    }

    /// Returns the subject or the cell that can't be measured here, and the reason; `None` if the
    /// cell can be measured.
    fn why_not(&self, cell: Cell) -> Option<(String, String)> {
        let subject = &self.suite.subjects[cell.subject].subject;
        if let Some(reason) = subject.unavailable(self.c10k.path()) {
            return Some((subject.name.clone(), reason));
        }
        let load = &self.suite.workloads[cell.workload].load;
        let has_processors = self.placement.server_with(load.processors, self.cpus).map(|_| ());
        let has_rate = match load.capacity_share {
            None => Ok(()),
            Some(_) => {
                Err(anyhow!("its rate is a share of a capacity, which only `c10k gate` measures"))
            }
        };
        let has_backlog = match load.backlog {
            Some(_) if !subject.takes_backlog() => Err(anyhow!(
                "its command does not say how long its listen queue is; write {{backlog}} there"
            )),
            _ => Ok(()),
        };
        let has_handler_threads = match self.suite.handler_threads(cell) {
            Some(_) => subject.check_handler_threads(),
            None => Ok(()),
        };
        let has_workers = match self.suite.workers(cell) {
            Some(_) => subject.check_workers(),
            None => Ok(()),
        };
        let has_address = match load.network() {
            Some(_) => subject.check_address(),
            None => Ok(()),
        };
        let can_be =
            limits::check_connections(load.connections()).and(has_processors).and(has_rate);
        let can_be = can_be.and(has_backlog).and(has_address);
        let reason = can_be.and(has_workers).and(has_handler_threads).err()?;
        Some((self.suite.label(cell), reason.to_string()))
    }

    /// Returns every cell in every round. Each round has its own order, which follows from the
    /// seed.
    pub fn order(&self) -> Vec<(u32, Cell)> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut order = Vec::new();
        for round in 1..=self.suite.pace.rounds {
            let mut cells = self.cells.clone();
            cells.shuffle(&mut random);
            order.extend(cells.into_iter().map(|cell| (round, cell)));
        }
        order
    }

    /// Returns the number of measurements of the plan.
    pub fn measurements(&self) -> usize {
        self.cells.len() * self.suite.pace.rounds as usize
    }

    /// Estimates the time of all measurements.
    pub fn estimate(&self) -> Duration {
        self.suite.estimate(&self.cells)
    }

    /// Estimates the time of the measurements in `order`.
    pub fn estimate_of(&self, order: &[(u32, Cell)]) -> Duration {
        let share = order.len() as f64 / self.measurements().max(1) as f64;
        self.estimate().mul_f64(share)
    }
}
