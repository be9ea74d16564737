//! Both sides of a gate: how base and candidate are started, and their processes in a block.

use std::sync::Arc;

use anyhow::{Context, Result};
use c10k_ci::block::Arm;
use c10k_ci::plan::Server;
use rand::Rng;
use rand::seq::SliceRandom;

use crate::interrupt::Interrupt;
use crate::plan::Placement;
use crate::subject::{Program, RunningSubject, Settings, Subject};
use crate::suite::Suite;

/// One server of the comparison.
#[derive(Debug, Clone)]
pub struct Side {
    pub arm: Arm,
    pub subject: Subject,
    /// Program that serves if the subject is a model.
    pub c10k: Arc<Program>,
    /// Description of the server in the plan.
    pub described: Server,
}

/// All servers of the comparison.
#[derive(Debug, Clone)]
pub struct Sides(Vec<Side>);

/// Processes of all servers, in the order of their start.
#[derive(Debug)]
pub struct Running(Vec<(Arm, RunningSubject)>);

impl Side {
    /// Creates a side whose server is started by a command, no matter where the server comes from.
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
    /// Creates base and candidate, and a copy of the base if `null` asks for one.
    pub fn new(base: Side, candidate: Side, null: bool) -> Self {
        let copy = null.then(|| Side { arm: Arm::Null, ..base.clone() });
        Self([base, candidate].into_iter().chain(copy).collect())
    }

    /// Returns all sides; the base is the first one.
    pub(super) fn all(&self) -> &[Side] {
        &self.0
    }

    /// Returns the description of a side in the plan.
    pub(super) fn described(&self, arm: Arm) -> Server {
        let side = self.0.iter().find(|side| side.arm == arm);
        side.map(|side| side.described.clone()).expect("both sides are always there")
    }

    /// True if there is a copy of the base.
    pub(super) fn has_null(&self) -> bool {
        self.0.iter().any(|side| side.arm == Arm::Null)
    }

    /// Starts all servers, one after the other in random order.
    pub(super) fn start(
        &self,
        suite: &Suite,
        placement: &Placement,
        random: &mut impl Rng,
        interrupt: &Interrupt,
    ) -> Result<Running> {
        let mut sides: Vec<&Side> = self.0.iter().collect();
        sides.shuffle(random);
        let loads = suite.workloads.iter().map(|workload| workload.load.connections());
        let connections = loads.max().unwrap_or(1);
        let running = sides.into_iter().map(|side| {
            let settings = Settings {
                cpus: placement.server.as_ref(),
                workers: suite.subjects[0].workers,
                handler_threads: suite.subjects[0].handler_threads,
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

    /// Returns all servers in random order.
    pub fn shuffled(&self, random: &mut impl Rng) -> Vec<(Arm, &RunningSubject)> {
        let mut all: Vec<_> = self.0.iter().map(|(arm, server)| (*arm, server)).collect();
        all.shuffle(random);
        all
    }

    /// Returns the sides in the order of their start.
    pub fn order(&self) -> Vec<Arm> {
        self.0.iter().map(|(arm, _)| *arm).collect()
    }

    /// Stops all servers.
    ///
    /// # Errors
    /// When a server has ended by itself, or does not stop.
    pub fn stop(self) -> Result<()> {
        for (arm, server) in self.0 {
            server.stop().with_context(|| arm_name(arm))?;
        }
        Ok(())
    }
}

/// Returns the name of the server of `arm` in messages.
pub(super) fn arm_name(arm: Arm) -> &'static str {
    match arm {
        Arm::Base => "the base",
        Arm::Candidate => "the candidate",
        Arm::Null => "the copy of the base",
    }
}
