//! The rehearsal of a gate: whether both servers answer, the rates of open loops, and how many
//! blocks fit into the budget.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use c10k_ci::block::Arm;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::counts::Counting;
use super::{Measuring, arm_name};
use crate::interrupt::Interrupt;

/// Length of the measurement of a capacity.
const CAPACITY_TIME: Duration = Duration::from_secs(1);

/// Fewest blocks that can tell anything: with six, no arrangement of signs is as improbable as 1 %.
pub const FEWEST_BLOCKS: u32 = 7;

/// Share of the budget that is planned with. The machine may be slower later, and the report is
/// written at the end.
const PLANNED: f64 = 0.92;

/// What was found out before the first block.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// Blocks that the budget allows.
    pub blocks: u32,
    /// Time that a block takes, as far as the rehearsal tells.
    pub block_time: Duration,
    /// Rate of each workload; none of a closed loop.
    pub(super) rates: Vec<Option<f64>>,
    /// What is counted; none where time is measured.
    pub(super) counting: Option<Counting>,
}

impl Rehearsal {
    pub(super) fn rate(&self, workload: usize) -> Option<f64> {
        self.rates[workload]
    }
}

/// Starts both servers once, asks each for every workload, and counts the blocks.
///
/// # Errors
/// When a server does not start or fails a workload, or the budget is too short.
pub fn rehearse(gate: &Measuring<'_>, budget: Duration, interrupt: &Interrupt) -> Result<Rehearsal> {
    let begun = Instant::now();
    let rates = vec![None; gate.suite.workloads.len()];
    let mut rehearsal = Rehearsal { blocks: 0, block_time: Duration::ZERO, rates, counting: None };
    let start = Instant::now();
    let running = gate.sides.start(gate, &mut ChaCha8Rng::seed_from_u64(gate.seed), interrupt)?;
    let mut block_time = start.elapsed();
    for workload in 0..gate.suite.workloads.len() {
        for (arm, server) in running.iter() {
            let path = &gate.suite.workloads[workload].load.path;
            crate::subject::client::answers(server.address(), path).with_context(|| arm_name(*arm))?;
        }
        if let Some(share) = gate.suite.workloads[workload].load.capacity_share {
            let (_, base) = running.iter().find(|(arm, _)| *arm == Arm::Base).context("there is no base")?;
            let capacity = gate.measure(workload, None, CAPACITY_TIME, base, interrupt)?.throughput();
            ensure!(
                capacity > 0.0 || interrupt.happened(),
                "the base completed no request in {CAPACITY_TIME:?}"
            );
            rehearsal.rates[workload] = Some(share * capacity);
        }
        for (arm, server) in running.iter() {
            let start = Instant::now();
            gate.warm_up(workload, &rehearsal, server, interrupt).with_context(|| arm_name(*arm))?;
            block_time += start.elapsed();
            let start = Instant::now();
            gate.slice(workload, &rehearsal, server, interrupt).with_context(|| arm_name(*arm))?;
            block_time += start.elapsed() * gate.pairs;
        }
    }
    let stop = Instant::now();
    running.stop()?;
    block_time += stop.elapsed();
    rehearsal.block_time = block_time;
    let left = (budget.as_secs_f64() * PLANNED - begun.elapsed().as_secs_f64()).max(0.0);
    rehearsal.blocks = (left / block_time.as_secs_f64()) as u32;
    let needed = begun.elapsed() + block_time * FEWEST_BLOCKS;
    ensure!(
        rehearsal.blocks >= FEWEST_BLOCKS || interrupt.happened(),
        "the budget is too short: a verdict needs {FEWEST_BLOCKS} blocks of {:.1} s; give --budget {}s or a suite with \
         fewer workloads",
        block_time.as_secs_f64(),
        (needed.as_secs_f64() / PLANNED).ceil()
    );
    Ok(rehearsal)
}
