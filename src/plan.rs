//! What a run will measure, in which order, and where everything runs: all that is decided before the first measurement.

use std::path::Path;
use std::time::Duration;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::cpus::CpuList;
use crate::suite::{Cell, Suite};

/// What is to be measured, how, and where it is written.
#[derive(Debug)]
pub struct Plan<'a> {
    pub suite: &'a Suite,
    pub cells: Vec<Cell>,
    /// Names of subjects that can't be measured here, each with the reason.
    pub skipped: Vec<(String, String)>,
    pub seed: u64,
    /// The processors that may be used, as they were before anything was pinned.
    pub cpus: &'a CpuList,
    pub placement: Placement,
    /// The binary that serves.
    pub c10k: &'a Path,
    pub reports_dir: &'a Path,
}

/// Where the server runs and where the generator does; on a machine with one processor both run where they like.
#[derive(Debug)]
pub struct Placement {
    pub server: Option<CpuList>,
    pub generator: Option<CpuList>,
}

impl Placement {
    /// Splits the processors between both.
    pub fn of(cpus: &CpuList) -> Self {
        let (server, generator) = cpus.split().unzip();
        Self { server, generator }
    }

    /// Event loops of the generator where a suite does not say how many: one for each of its processors.
    pub fn generator_threads(&self) -> usize {
        self.generator.as_ref().map_or(1, |cpus| cpus.numbers().len())
    }
}

impl Plan<'_> {
    /// Every cell in every round; each round in an order of its own, which follows from the seed.
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

    /// About how long all of it takes.
    pub fn estimate(&self) -> Duration {
        self.suite.estimate(&self.cells)
    }
}
