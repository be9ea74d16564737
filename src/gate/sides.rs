//! Both sides of a gate: how base and candidate are started, and their processes in a block.

use std::sync::Arc;

use anyhow::{Context, Result};
use c10k_ci::block::Arm;
use c10k_ci::plan::Server;
use rand::Rng;
use rand::seq::SliceRandom;

use super::{Measuring, arm_name};
use crate::interrupt::Interrupt;
use crate::subject::{Program, RunningSubject, Settings, Subject};

/// One server of the comparison.
#[derive(Debug, Clone)]
pub struct Side {
    pub arm: Arm,
    pub subject: Subject,
    /// The program that serves where the subject is a model.
    pub c10k: Arc<Program>,
    /// What the plan says of it.
    pub described: Server,
}

/// All servers of the comparison.
#[derive(Debug, Clone)]
pub struct Sides(Vec<Side>);

/// Their processes, in the order of their start.
#[derive(Debug)]
pub struct Running(Vec<(Arm, RunningSubject)>);

impl Side {
    /// A server that a command starts, wherever it comes from.
    ///
    /// # Errors
    /// When the command line can't be a server.
    pub fn from_command(arm: Arm, option: &str, command: &str) -> Result<Self> {
        let c10k = Arc::new(Program::this()?);
        let described = Server { name: None, revision: None, command: command.to_owned() };
        Ok(Self { arm, subject: Subject::from_command(option, command)?, c10k, described })
    }
}

impl Sides {
    /// Base and candidate, and a copy of the base where `null` asks for one.
    pub fn new(base: Side, candidate: Side, null: bool) -> Self {
        let copy = null.then(|| Side { arm: Arm::Null, ..base.clone() });
        Self([base, candidate].into_iter().chain(copy).collect())
    }

    /// All of them; the base is the first one.
    pub(super) fn all(&self) -> &[Side] {
        &self.0
    }

    /// What the plan says of that side.
    pub(super) fn described(&self, arm: Arm) -> Server {
        let side = self.0.iter().find(|side| side.arm == arm);
        side.map(|side| side.described.clone()).expect("both sides are always there")
    }

    /// Whether there is a copy of the base.
    pub(super) fn has_null(&self) -> bool {
        self.0.iter().any(|side| side.arm == Arm::Null)
    }

    /// Starts all of them, one after the other in random order.
    pub(super) fn start(
        &self,
        gate: &Measuring<'_>,
        random: &mut impl Rng,
        interrupt: &Interrupt,
    ) -> Result<Running> {
        let mut sides: Vec<&Side> = self.0.iter().collect();
        sides.shuffle(random);
        let loads = gate.suite.workloads.iter().map(|workload| workload.load.connections());
        let connections = loads.max().unwrap_or(1);
        let running = sides.into_iter().map(|side| {
            let settings = Settings {
                cpus: gate.placement.server.as_ref(),
                workers: gate.suite.subjects[0].workers,
                interrupt: Some(interrupt),
                ..Settings::new(&side.c10k, connections)
            };
            Ok((side.arm, side.subject.start(&settings).with_context(|| arm_name(side.arm))?))
        });
        Ok(Running(running.collect::<Result<_>>()?))
    }
}

impl Running {
    pub fn iter(&self) -> impl Iterator<Item = &(Arm, RunningSubject)> {
        self.0.iter()
    }

    /// All of them in random order.
    pub fn shuffled(&self, random: &mut impl Rng) -> Vec<(Arm, &RunningSubject)> {
        let mut all: Vec<_> = self.0.iter().map(|(arm, server)| (*arm, server)).collect();
        all.shuffle(random);
        all
    }

    /// The order of their start.
    pub fn order(&self) -> Vec<Arm> {
        self.0.iter().map(|(arm, _)| *arm).collect()
    }

    /// Stops all of them.
    ///
    /// # Errors
    /// When one has ended by itself, or does not stop.
    pub fn stop(self) -> Result<()> {
        for (arm, server) in self.0 {
            server.stop().with_context(|| arm_name(arm))?;
        }
        Ok(())
    }
}
