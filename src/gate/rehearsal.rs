//! The rehearsal of a gate. It checks that both servers answer, and finds the rates of open loops
//! and the number of blocks that fit into the budget.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use c10k_ci::block::Arm;
use c10k_ci::power::fewest_blocks;
use c10k_ci::verdict::FALSE_ALARMS;
use c10k_loadgen::Target;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::counts::{self, Counting};
use super::measuring::Measuring;
use super::sides::{Running, arm_name};
use super::tail::{PERCENTILES, Percentile};
use crate::interrupt::Interrupt;
use crate::subject::RunningSubject;
use crate::subject::client::status_of;

/// Length of the measurement of a capacity.
const CAPACITY_TIME: Duration = Duration::from_secs(1);

/// Number of responses, one after the other, that must fit into a slice. With fewer, most of a
/// slice is its start and its end.
const SLICE_OF_ANSWERS: u32 = 3;

/// Share of the budget that the plan uses. The rest is needed if the machine becomes slower, and
/// for the report at the end.
const PLANNED: f64 = 0.92;

/// Findings of a rehearsal, before the first block.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// Blocks that the budget allows.
    pub blocks: u32,
    /// Time that a block takes, as estimated by the rehearsal.
    pub block_time: Duration,
    /// Rate of each workload; `None` for a closed loop.
    rates: Vec<Option<f64>>,
    /// Percentiles of each workload for which a slice has too few requests.
    grouped: Vec<BTreeSet<&'static str>>,
    /// Counts that are compared; `None` if time is measured.
    pub(super) counting: Option<Counting>,
}

impl Rehearsal {
    pub(super) fn rate(&self, workload: usize) -> Option<f64> {
        self.rates[workload]
    }

    /// Returns the percentiles of a workload that are computed from several slices together.
    pub(super) fn grouped(&self, workload: usize) -> impl Iterator<Item = &'static Percentile> {
        PERCENTILES.iter().filter(move |percentile| self.grouped[workload].contains(percentile.key))
    }
}

/// Quantity that a gate compares.
#[derive(Debug, Clone, Copy)]
pub enum Lane {
    /// Time; measuring takes about this long.
    Time(Duration),
    /// Counts, with as many blocks as they need.
    Counts,
}

impl Lane {
    /// Returns the time that measuring may take; `None` for counts, which take as long as they
    /// need.
    pub fn budget(self) -> Option<Duration> {
        match self {
            Self::Time(budget) => Some(budget),
            Self::Counts => None,
        }
    }
}

/// Starts both servers once, measures every workload on each of them, and computes the number of
/// blocks.
///
/// # Errors
/// When a server does not start or fails a workload, or the budget is too short.
pub fn rehearse(gate: &Measuring<'_>, lane: Lane, interrupt: &Interrupt) -> Result<Rehearsal> {
    match lane {
        Lane::Time(budget) => rehearse_time(gate, budget, interrupt),
        Lane::Counts => {
            let counting = counts::rehearse(gate, interrupt)?;
            Ok(Rehearsal {
                blocks: counting.blocks(),
                block_time: counting.block_time,
                rates: vec![None; gate.suite.workloads.len()],
                grouped: Vec::new(),
                counting: Some(counting),
            })
        }
    }
}

fn rehearse_time(
    gate: &Measuring<'_>,
    budget: Duration,
    interrupt: &Interrupt,
) -> Result<Rehearsal> {
    let begun = Instant::now();
    let running = gate.start(&mut ChaCha8Rng::seed_from_u64(gate.seed), interrupt)?;
    let mut rehearsal = Rehearsal {
        blocks: 0,
        block_time: begun.elapsed(),
        rates: Vec::new(),
        grouped: Vec::new(),
        counting: None,
    };
    let rehearsed = (0..gate.suite.workloads.len()).try_for_each(|workload| {
        gate.rehearse_workload(workload, &mut rehearsal, &running, interrupt)
    });
    let stopping = Instant::now();
    // The error of a server that has ended says more than that of its failed requests, so it comes
    // first.
    running.stop()?;
    rehearsed?;
    rehearsal.block_time += stopping.elapsed();
    let series = gate.suite.workloads.len() * gate.margins.iter().count();
    let fewest = fewest_blocks(series, FALSE_ALARMS);
    rehearsal.blocks = blocks_within(budget, begun.elapsed(), rehearsal.block_time, fewest)?;
    Ok(rehearsal)
}

impl Measuring<'_> {
    /// Measures a workload on every server, and adds the time that the workload takes in a block.
    fn rehearse_workload(
        &self,
        workload: usize,
        rehearsal: &mut Rehearsal,
        running: &Running,
        interrupt: &Interrupt,
    ) -> Result<()> {
        self.check_answers(workload, running)?;
        let rate = self.rate_of(workload, running, interrupt)?;
        rehearsal.rates.push(rate);
        rehearsal.grouped.push(BTreeSet::new());
        for (arm, server) in running.iter() {
            let time = self.rehearse_slices(workload, rehearsal, server, interrupt);
            rehearsal.block_time += time.with_context(|| arm_name(*arm))?;
            ensure!(!interrupt.happened(), "interrupted");
        }
        Ok(())
    }

    /// Checks that every server provides everything that a workload requests.
    pub(super) fn check_answers(&self, workload: usize, running: &Running) -> Result<()> {
        let mut servers = running.iter();
        servers.try_for_each(|(arm, server)| {
            self.check_answer(workload, server).with_context(|| arm_name(*arm))
        })
    }

    fn check_answer(&self, workload: usize, server: &RunningSubject) -> Result<()> {
        let load = &self.suite.workloads[workload].load;
        let request = &load.workload.request;
        let path = &load.path;
        let target = Target::resolve(&format!("http://{}{path}", server.address()))?;
        let status = status_of(server.address(), &target.render(request, true));
        let status =
            status.with_context(|| format!("{} {path} has no response", request.method))?;
        ensure!(
            (200..400).contains(&status),
            "{} {path} is answered with status {status}; correct the server, or the workload in the suite",
            request.method
        );
        Ok(())
    }

    /// Returns the rate of an open loop, as a share of the capacity of the base; `None` for a
    /// closed loop.
    fn rate_of(
        &self,
        workload: usize,
        running: &Running,
        interrupt: &Interrupt,
    ) -> Result<Option<f64>> {
        let Some(share) = self.suite.workloads[workload].load.capacity_share else {
            return Ok(None);
        };
        let (_, base) =
            running.iter().find(|(arm, _)| *arm == Arm::Base).context("there is no base")?;
        let measured = self.measure(workload, None, CAPACITY_TIME, base, interrupt);
        let capacity = measured.with_context(|| arm_name(Arm::Base))?.throughput();
        ensure!(capacity > 0.0, "the base completed no request in {CAPACITY_TIME:?}");
        Ok(Some(share * capacity))
    }

    /// Returns the time that the warm-up and all slices of a workload take on one server. Notes the
    /// percentiles for which a slice has too few requests.
    fn rehearse_slices(
        &self,
        workload: usize,
        rehearsal: &mut Rehearsal,
        server: &RunningSubject,
        interrupt: &Interrupt,
    ) -> Result<Duration> {
        let start = Instant::now();
        let warmed = self.warm_up(workload, rehearsal, server, interrupt)?;
        let warmup = start.elapsed();
        let start = Instant::now();
        let slice = self.slice(workload, rehearsal, server, self.seed, interrupt)?;
        // A busy machine may delay one of the two measurements, so it is enough that the other one
        // passes.
        let duration = self.suite.pace.duration;
        ensure!(
            [&warmed, &slice]
                .iter()
                .any(|measured| measured.has_answers_below(duration / SLICE_OF_ANSWERS)),
            "responses take {:.0?}, and slices are {duration:.0?}: set a longer `duration` in the suite",
            slice.median()
        );
        let lacking =
            PERCENTILES.iter().map(|percentile| percentile.key).filter(|key| !slice.has(key));
        rehearsal.grouped[workload].extend(lacking);
        Ok(warmup + start.elapsed() * self.suite.pace.rounds)
    }
}

/// Returns the number of blocks that fit into the rest of the budget.
fn blocks_within(
    budget: Duration,
    spent: Duration,
    block_time: Duration,
    fewest: u32,
) -> Result<u32> {
    let left = (budget.as_secs_f64() * PLANNED - spent.as_secs_f64()).max(0.0);
    let blocks = (left / block_time.as_secs_f64()) as u32;
    let needed = (spent + block_time * fewest).as_secs_f64() / PLANNED;
    ensure!(
        blocks >= fewest,
        "the budget is too short: a verdict needs {fewest} blocks of {:.1} s; give --budget {}s or a suite \
         with fewer workloads",
        block_time.as_secs_f64(),
        needed.ceil()
    );
    Ok(blocks)
}
