//! The measuring of a gate: blocks of short slices that alternate between base and candidate.
//!
//! Everything is decided before the first block: the workloads and their rates, the seed, and the
//! number of blocks. Nothing is measured again and nothing is left out, since both would raise the
//! rate of false alarms that the verdict states.

pub mod build_command;
pub mod builds;
mod cell;
mod checkout;
pub mod conduct;
pub mod counts;
pub mod folder;
mod git;
mod idle;
mod measuring;
mod rehearsal;
pub mod revision;
mod sides;
mod slice;
pub mod suite;
mod tail;

use anyhow::{Context, Result, ensure};
use c10k_ci::block::{Arm, Block, VERSION};
use c10k_ci::histograms;
use c10k_ci::plan::{self, Plan};
use jiff::Timestamp;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cpus::CpuList;
use crate::environment;
use crate::interrupt::Interrupt;
use crate::suite::SuiteWorkload;

use cell::MeasuredCell;
use idle::Idle;
pub use measuring::Measuring;
pub use rehearsal::{Lane, Rehearsal};
use sides::{Running, arm_name};
pub use sides::{Side, Sides};

/// Measures all blocks, and passes each to `keep` as soon as it is complete.
///
/// # Errors
/// When a server does not start, dies, or `keep` fails, or the user interrupts the gate: a gate
/// that lacks a block has no verdict.
pub fn run(
    gate: &Measuring<'_>,
    rehearsal: &Rehearsal,
    interrupt: &Interrupt,
    histograms: &mut histograms::Writer,
    mut keep: impl FnMut(Block) -> Result<()>,
) -> Result<()> {
    for number in 1..=rehearsal.blocks {
        let block = match &rehearsal.counting {
            None => gate.block(number, rehearsal, interrupt, histograms),
            Some(counting) => counting.block(gate, number, interrupt),
        };
        ensure!(!interrupt.happened(), "interrupted");
        keep(block.with_context(|| format!("block {number}"))?)?;
    }
    Ok(())
}

impl Measuring<'_> {
    /// Returns the plan: the decisions of the rehearsal and the arguments, by which the blocks are
    /// judged.
    pub fn plan(&self, rehearsal: &Rehearsal, lane: Lane, cpus: &CpuList) -> Plan {
        Plan {
            version: plan::VERSION,
            started_utc: Timestamp::now().to_string(),
            command: environment::command_line(),
            c10k_version: env!("CARGO_PKG_VERSION").into(),
            c10k_revision: environment::REVISION.into(),
            machine: environment::machine(cpus.numbers().len()),
            server_cpus: CpuList::numbers_of(self.placement.server.as_ref()),
            generator_cpus: CpuList::numbers_of(self.placement.generator.as_ref()),
            base: self.sides.described(Arm::Base),
            candidate: self.sides.described(Arm::Candidate),
            null: self.sides.has_null(),
            suite: self.suite.name.clone(),
            workloads: self.workloads(rehearsal),
            blocks: rehearsal.blocks,
            pairs: if rehearsal.counting.is_some() { 1 } else { self.suite.pace.rounds },
            slice_s: self.suite.pace.duration.as_secs_f64(),
            budget_s: lane.budget().map(|budget| budget.as_secs_f64()),
            seed: self.seed,
            margins: self.margins.clone(),
            counts: rehearsal.counting.is_some(),
            uncounted: rehearsal
                .counting
                .iter()
                .flat_map(|counting| counting.uncounted.clone())
                .collect(),
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

    /// Measures one block: fresh servers, and every cell in random order.
    fn block(
        &self,
        number: u32,
        rehearsal: &Rehearsal,
        interrupt: &Interrupt,
        histograms: &mut histograms::Writer,
    ) -> Result<Block> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(u64::from(number)));
        let started_utc = Timestamp::now().to_string();
        let running = self.start(&mut random, interrupt)?;
        let mut workloads: Vec<usize> = (0..self.suite.workloads.len()).collect();
        workloads.shuffle(&mut random);
        let cell = |workload: usize| {
            let measured = self.cell(workload, &running, &mut random, rehearsal, interrupt)?;
            self.keep_histograms(&measured, number, histograms)?;
            Ok(measured.into_cell(rehearsal.grouped(workload), self.margins))
        };
        let cells: Result<_> = workloads.into_iter().map(cell).collect();
        let started = running.order();
        // The error of a server that has ended says more than that of its failed slices, so it
        // comes first.
        running.stop()?;
        Ok(Block { version: VERSION, number, started_utc, started, cells: cells? })
    }

    /// Measures the slices of one workload, of all servers in turn.
    fn cell(
        &self,
        workload: usize,
        running: &Running,
        random: &mut impl Rng,
        rehearsal: &Rehearsal,
        interrupt: &Interrupt,
    ) -> Result<MeasuredCell> {
        for (arm, server) in running.iter() {
            self.warm_up(workload, rehearsal, server, interrupt).with_context(|| arm_name(*arm))?;
        }
        let mut cell = MeasuredCell::new(&self.suite.workloads[workload].name);
        for pair in 1..=self.suite.pace.rounds {
            // Arrivals differ from pair to pair, and are the same for the servers of a pair.
            let seed = random.random();
            for (arm, server) in running.shuffled(random) {
                let idle = Idle::begin(running, arm);
                let slice = self.slice(workload, rehearsal, server, seed, interrupt);
                cell.add(pair, arm, slice.with_context(|| arm_name(arm))?);
                cell.busy.extend(idle.busy(running).into_iter().map(|arm| (pair, arm)));
                ensure!(
                    !server.has_ended() && !interrupt.happened(),
                    "{} ended early",
                    arm_name(arm)
                );
            }
        }
        Ok(cell)
    }

    fn keep_histograms(
        &self,
        cell: &MeasuredCell,
        block: u32,
        histograms: &mut histograms::Writer,
    ) -> Result<()> {
        let length = self.suite.pace.duration * self.suite.pace.rounds;
        cell.seen().into_iter().try_for_each(|(arm, seen)| {
            let written = histograms.append((&cell.workload, arm), block, length, seen);
            written.with_context(|| {
                format!("cannot write the histograms of {}; is there free space?", cell.workload)
            })
        })
    }
}
