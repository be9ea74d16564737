//! Everything that a gate measures with, which is decided before the first measurement.

use anyhow::Result;
use c10k_ci::margin::Margins;
use rand::Rng;

use super::sides::{Running, Sides};
use crate::interrupt::Interrupt;
use crate::plan::Placement;
use crate::suite::Suite;

/// The servers that a gate compares, and the load that it sends them.
#[derive(Debug)]
pub struct Measuring<'a> {
    pub suite: &'a Suite,
    pub sides: Sides,
    pub placement: Placement,
    /// Margins; only metrics that have one are kept.
    pub margins: &'a Margins,
    pub seed: u64,
}

impl Measuring<'_> {
    /// Starts all servers, one after the other in random order.
    pub(super) fn start(&self, random: &mut impl Rng, interrupt: &Interrupt) -> Result<Running> {
        self.sides.start(self.suite, &self.placement, random, interrupt)
    }
}
