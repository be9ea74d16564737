//! The deterministic lane of a gate: the cost of a request in counts instead of time.
//!
//! Counts hardly vary, so a block is one pair of runs of each pass, and a few blocks find changes
//! far below the noise of time. Each count is of a fresh server, over one connection: with several
//! connections, the number of requests that share a waiting call would depend on time, while
//! requests that are sent one at a time never share one. A server and its client then take turns,
//! so that both have one processor, and servers are counted side by side on as many processors as
//! there are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use c10k_ci::block::{Arm, Block, CellOfBlock, Slice, VERSION};
use c10k_ci::power::fewest_blocks;
use c10k_ci::series::Unjudged;
use c10k_ci::verdict::FALSE_ALARMS;
use c10k_loadgen::Workload;
use jiff::Timestamp;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::measuring::Measuring;
use super::sides::{Side, arm_name};
use crate::cpus::CpuList;
use crate::interrupt::Interrupt;
use crate::output::note;
use crate::pass::{self, Bench, Pass};
use crate::subject::Settings;

/// Counts that are compared: the name of the pass, and the key of the metric, which is also that of
/// its reading.
const COUNTED: &[(&str, &str)] = &[
    ("system_calls", "system_calls_per_request"),
    ("user_instructions", "server_user_instructions_per_request"),
    ("allocations", "server_allocations_per_request"),
];

/// True if the metric with `key` is judged by counts; all others are judged by time.
pub fn is_counted(key: &str) -> bool {
    COUNTED.iter().any(|(_, counted)| *counted == key)
}

/// Counts that can be taken on this machine.
#[derive(Debug, Clone)]
pub struct Counting {
    /// All processors, each in a list of its own.
    cpus: Vec<CpuList>,
    /// Passes of each workload, with the keys of their metrics.
    passes: Vec<Vec<(&'static Pass, &'static str)>>,
    /// Counts that can't be taken, with the reasons.
    pub uncounted: Vec<Unjudged>,
    /// Time that a block takes.
    pub block_time: Duration,
}

/// Checks that both servers answer every workload, and runs every pass once for each workload.
///
/// # Errors
/// When a server does not start or fails a workload, or nothing can be counted.
pub(super) fn rehearse(gate: &Measuring<'_>, interrupt: &Interrupt) -> Result<Counting> {
    let mut random = ChaCha8Rng::seed_from_u64(gate.seed);
    let running = gate.start(&mut random, interrupt)?;
    let answered = (0..gate.suite.workloads.len())
        .try_for_each(|workload| gate.check_answers(workload, &running));
    running.stop()?;
    answered?;
    let begun = Instant::now();
    let counting = Counting::of(gate, interrupt)?;
    let turns = |servers: usize| servers.div_ceil(counting.cpus.len()) as u32;
    let block_time = begun.elapsed() * turns(gate.sides.all().len()) / turns(2);
    Ok(Counting { block_time, ..counting })
}

impl Counting {
    /// Tries every pass. A count that fails for the base is left out. A count that fails for the
    /// candidate alone is noted with its reason; without that count, the gate is undecided.
    fn of(gate: &Measuring<'_>, interrupt: &Interrupt) -> Result<Self> {
        let cpus = CpuList::before_pinning()?;
        let cpus = cpus.numbers().iter().filter_map(|cpu| CpuList::new(vec![*cpu])).collect();
        let mut counting =
            Self { cpus, passes: Vec::new(), uncounted: Vec::new(), block_time: Duration::ZERO };
        for (number, workload) in gate.suite.workloads.iter().enumerate() {
            let mut passes = Vec::new();
            for (name, key) in COUNTED {
                let pass = pass::find(name).context("a pass that counts is missing")?;
                let [base, candidate] = counting.try_pass(gate, number, pass, interrupt);
                if interrupt.happened() {
                    // No block will be complete.
                    return Ok(counting);
                }
                if let Err(error) = base {
                    counting.leave_out(&workload.name, key, &format!("{error:#}"), false);
                    continue;
                }
                if let Err(error) = candidate {
                    counting.leave_out(
                        &workload.name,
                        key,
                        &format!("the candidate: {error:#}"),
                        true,
                    );
                }
                passes.push((pass, *key));
            }
            counting.passes.push(passes);
        }
        let reason = counting.uncounted.first().map_or("", |one| &one.reason);
        ensure!(
            counting.passes.iter().any(|passes| !passes.is_empty()),
            "nothing can be counted here: {reason}"
        );
        Ok(counting)
    }

    /// Runs one pass for both sides at the same time, each on a processor of its own if there are
    /// two.
    fn try_pass(
        &self,
        gate: &Measuring<'_>,
        workload: usize,
        pass: &Pass,
        interrupt: &Interrupt,
    ) -> [Result<()>; 2] {
        let try_one = |place: usize| -> Result<()> {
            self.cpus[place % self.cpus.len()].pin()?;
            count(gate, &gate.sides.all()[place], workload, pass, interrupt).map(drop)
        };
        thread::scope(|scope| {
            let tries = [0, 1].map(|place| scope.spawn(move || try_one(place)));
            tries.map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    /// Returns the fewest blocks with which a count that is worse in all of them can be
    /// distinguished from chance, no matter how the other counts behave.
    pub(super) fn blocks(&self) -> u32 {
        fewest_blocks(self.passes.iter().map(Vec::len).sum(), FALSE_ALARMS)
    }

    /// Leaves a count out, and prints each reason once.
    fn leave_out(&mut self, workload: &str, key: &str, reason: &str, decides: bool) {
        if !self.uncounted.iter().any(|other| other.key == key && other.reason == reason) {
            note(&format!("not counted: {key}: {reason}\n"));
        }
        self.uncounted.push(Unjudged {
            workload: workload.into(),
            key: key.into(),
            reason: reason.into(),
            decides,
        });
    }

    /// True if the candidate has failed this count before the first block.
    fn is_left_out(&self, workload: &str, key: &str) -> bool {
        self.uncounted.iter().any(|one| one.workload == workload && one.key == key)
    }

    /// Measures one block: every pass of every workload with all servers, in random order.
    pub(super) fn block(
        &self,
        gate: &Measuring<'_>,
        number: u32,
        interrupt: &Interrupt,
    ) -> Result<Block> {
        let mut random = ChaCha8Rng::seed_from_u64(gate.seed.wrapping_add(u64::from(number)));
        let started_utc = Timestamp::now().to_string();
        let mut sides: Vec<&Side> = gate.sides.all().iter().collect();
        sides.shuffle(&mut random);
        let mut workloads: Vec<usize> = (0..self.passes.len()).collect();
        workloads.shuffle(&mut random);
        let cell = |workload: usize| -> Result<CellOfBlock> {
            let slices = self.slices(gate, &sides, workload, interrupt)?;
            Ok(CellOfBlock { workload: gate.suite.workloads[workload].name.clone(), slices })
        };
        let cells = workloads.into_iter().map(cell).collect::<Result<_>>()?;
        let started = sides.iter().map(|side| side.arm).collect();
        Ok(Block { version: VERSION, number, started_utc, started, cells })
    }

    /// Takes all counts of one workload, for all servers at the same time. The random order of
    /// `sides` decides which server has which processor.
    fn slices(
        &self,
        gate: &Measuring<'_>,
        sides: &[&Side],
        workload: usize,
        interrupt: &Interrupt,
    ) -> Result<Vec<Slice>> {
        thread::scope(|scope| {
            let places = sides.iter().copied().zip(self.cpus.iter().cycle());
            let count = |side: &'_ Side, cpu: &'_ CpuList| {
                self.slice(gate, side, cpu, workload, interrupt).with_context(|| arm_name(side.arm))
            };
            let start = |(side, cpu)| scope.spawn(move || count(side, cpu));
            let counting: Vec<_> = places.map(start).collect();
            let join = |one: thread::ScopedJoinHandle<'_, Result<Slice>>| {
                one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            counting.into_iter().map(join).collect()
        })
    }

    /// Takes all counts of one server, on one processor. If a pass fails, its count is left out, so
    /// that the metric is not judged and the gate is undecided; the other counts may still show a
    /// regression.
    fn slice(
        &self,
        gate: &Measuring<'_>,
        side: &Side,
        cpu: &CpuList,
        workload: usize,
        interrupt: &Interrupt,
    ) -> Result<Slice> {
        cpu.pin()?;
        let mut metrics = BTreeMap::new();
        for (pass, key) in &self.passes[workload] {
            if side.arm == Arm::Candidate
                && self.is_left_out(&gate.suite.workloads[workload].name, key)
            {
                continue;
            }
            match count(gate, side, workload, pass, interrupt) {
                Ok(counts) => {
                    metrics.extend(
                        counts.get_key_value(*key).map(|(key, count)| (key.clone(), *count)),
                    );
                }
                Err(error) if interrupt.happened() => return Err(error),
                Err(error) => {
                    note(&format!("not counted: {key} of {}: {error:#}\n", arm_name(side.arm)));
                }
            }
        }
        // A request that fails ends its pass, so that no slice has failed requests.
        Ok(Slice { pair: 1, arm: side.arm, metrics, failed_share: 0.0, failed_checks: Vec::new() })
    }
}

/// Runs one pass with a server of `side`, and returns its readings.
fn count(
    gate: &Measuring<'_>,
    side: &Side,
    workload: usize,
    pass: &Pass,
    interrupt: &Interrupt,
) -> Result<BTreeMap<String, f64>> {
    let load = &gate.suite.workloads[workload].load;
    let one_by_one = Workload {
        connections: 1,
        idle: 0,
        slow: 0,
        threads: 1,
        timeout: gate.suite.timeout,
        ..load.workload.clone()
    };
    let launch = |prefix: &[OsString], connections: Option<usize>| {
        side.subject.start(&Settings {
            workers: gate.suite.subjects[0].workers,
            handler_threads: gate.suite.subjects[0].handler_threads,
            prefix,
            interrupt: Some(interrupt),
            ..Settings::new(&side.c10k, connections.unwrap_or(1))
        })
    };
    (pass.run)(&Bench {
        launch: &launch,
        path: side.subject.path(&load.path),
        workload: &one_by_one,
        interrupt,
    })
}
