//! The measuring of a gate: blocks of short slices that alternate between base and candidate.
//!
//! Everything is decided before the first block: the workloads and their rates, the seed, and the
//! number of blocks. Nothing is measured again and nothing is left out, since both would raise the
//! rate of false alarms that the verdict states.

mod rehearsal;
pub mod revision;
mod sides;
mod slice;

use anyhow::{Context, Result};
use c10k_ci::block::{Arm, Block, CellOfBlock, VERSION};
use c10k_ci::margin::Margins;
use jiff::Timestamp;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::interrupt::Interrupt;
use crate::plan::Placement;
use crate::suite::Suite;

pub use rehearsal::{Rehearsal, rehearse};
pub use sides::{Side, Sides};

/// Pairs of slices of a cell within a block. More of them say less than more blocks, since a
/// restart moves a server by as much as the noise of a few pairs.
pub const PAIRS: u32 = 6;

/// What is compared, and with what load.
#[derive(Debug)]
pub struct Gate<'a> {
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
    gate: &Gate<'_>,
    rehearsal: &Rehearsal,
    interrupt: &Interrupt,
    mut keep: impl FnMut(Block) -> Result<()>,
) -> Result<()> {
    for number in 1..=rehearsal.blocks {
        let block = gate.block(number, rehearsal, interrupt);
        if interrupt.happened() {
            return Ok(());
        }
        keep(block.with_context(|| format!("block {number}"))?)?;
    }
    Ok(())
}

impl Gate<'_> {
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
