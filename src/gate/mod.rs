//! The measuring of a gate: blocks of short slices that alternate between base and candidate.
//!
//! Everything is decided before the first block: the workloads and their rates, the seed, and the
//! number of blocks. Nothing is measured again and nothing is left out, since both would raise the
//! rate of false alarms that the verdict states.

pub mod counts;
mod rehearsal;
pub mod revision;
mod sides;
mod slice;

use anyhow::{Context, Result};
use std::time::Duration;

use c10k_ci::block::{Arm, Block, CellOfBlock, VERSION};
use c10k_ci::margin::Margins;
use c10k_ci::plan::{self, Plan};
use jiff::Timestamp;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::cpus::CpuList;
use crate::environment;
use crate::interrupt::Interrupt;
use crate::plan::Placement;
use crate::suite::{Suite, SuiteWorkload};

pub use rehearsal::{Rehearsal, rehearse};
pub use sides::{Side, Sides};

/// Pairs of slices of a cell within a block. More of them say less than more blocks, since a
/// restart moves a server by as much as the noise of a few pairs.
pub const PAIRS: u32 = 6;

/// What is compared, and with what load.
#[derive(Debug)]
pub struct Measuring<'a> {
    pub suite: &'a Suite,
    pub sides: Sides,
    pub placement: Placement,
    /// Margins; only metrics that have one are kept.
    pub margins: &'a Margins,
    pub seed: u64,
    /// Pairs of slices of a cell within a block.
    pub pairs: u32,
}

/// Measures `blocks` blocks, and gives each to `keep` as soon as it is complete. Ends early where
/// the user interrupts it.
///
/// # Errors
/// When a server does not start, dies, or `keep` fails: a gate that lacks a block has no verdict.
pub fn run(
    gate: &Measuring<'_>,
    rehearsal: &Rehearsal,
    interrupt: &Interrupt,
    mut keep: impl FnMut(Block) -> Result<()>,
) -> Result<()> {
    for number in 1..=rehearsal.blocks {
        let block = match &rehearsal.counting {
            None => gate.block(number, rehearsal, interrupt),
            Some(counting) => counting.block(gate, number, interrupt),
        };
        if interrupt.happened() {
            return Ok(());
        }
        keep(block.with_context(|| format!("block {number}"))?)?;
    }
    Ok(())
}

impl Measuring<'_> {
    /// What was decided, for whoever judges the blocks.
    pub fn plan(&self, rehearsal: &Rehearsal, budget: Duration, cpus: &CpuList) -> Plan {
        let numbers =
            |cpus: &Option<CpuList>| cpus.as_ref().map_or(Vec::new(), |cpus| cpus.numbers().to_vec());
        Plan {
            version: plan::VERSION,
            started_utc: Timestamp::now().to_string(),
            command: environment::command_line(),
            c10k_version: env!("CARGO_PKG_VERSION").into(),
            c10k_revision: environment::REVISION.into(),
            machine: environment::machine(cpus.numbers().len()),
            server_cpus: numbers(&self.placement.server),
            generator_cpus: numbers(&self.placement.generator),
            base: self.sides.described(Arm::Base),
            candidate: self.sides.described(Arm::Candidate),
            null: self.sides.has_null(),
            suite: self.suite.name.clone(),
            workloads: self.workloads(rehearsal),
            blocks: rehearsal.blocks,
            pairs: if rehearsal.counting.is_some() { 1 } else { self.pairs },
            slice_s: self.suite.pace.duration.as_secs_f64(),
            budget_s: budget.as_secs_f64(),
            seed: self.seed,
            margins: self.margins.clone(),
            counts: rehearsal.counting.is_some(),
            uncounted: rehearsal.counting.iter().flat_map(|counting| counting.uncounted.clone()).collect(),
        }
    }

    fn workloads(&self, rehearsal: &Rehearsal) -> Vec<plan::Workload> {
        let workloads = self.suite.workloads.iter().enumerate();
        let describe = |(index, workload): (usize, &SuiteWorkload)| plan::Workload {
            name: workload.name.clone(),
            description: workload.load.to_string(),
            rate_rps: rehearsal.rate(index),
        };
        workloads.map(describe).collect()
    }

    /// One block: fresh servers, and every cell in random order.
    fn block(&self, number: u32, rehearsal: &Rehearsal, interrupt: &Interrupt) -> Result<Block> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(u64::from(number)));
        let started_utc = Timestamp::now().to_string();
        let running = self.sides.start(self, &mut random, interrupt)?;
        let mut workloads: Vec<usize> = (0..self.suite.workloads.len()).collect();
        workloads.shuffle(&mut random);
        let mut cells = Vec::new();
        for workload in workloads {
            let mut slices = Vec::new();
            for (arm, server) in running.iter() {
                self.warm_up(workload, rehearsal, server, interrupt).with_context(|| arm_name(*arm))?;
            }
            for pair in 1..=self.pairs {
                for (arm, server) in running.shuffled(&mut random) {
                    let slice = self.slice(workload, rehearsal, server, interrupt);
                    slices.push(slice.with_context(|| arm_name(arm))?.of(pair, arm, self.margins));
                }
            }
            cells.push(CellOfBlock { workload: self.suite.workloads[workload].name.clone(), slices });
        }
        let started = running.order();
        running.stop()?;
        Ok(Block { version: VERSION, number, started_utc, started, cells })
    }
}

/// What a message calls the server of `arm`.
fn arm_name(arm: Arm) -> &'static str {
    match arm {
        Arm::Base => "the base",
        Arm::Candidate => "the candidate",
        Arm::Null => "the copy of the base",
    }
}
