//! Measures a server's capacity: the highest rate at which it meets an objective, and its latency
//! at shares of that rate.
//!
//! The caller passes the function that measures one rate. This file decides which rates are
//! measured and for how long, and judges each of them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use c10k_loadgen::check::Effect;
use c10k_loadgen::workload::{Arrivals, Pacing, Until};
use c10k_loadgen::{Summary, Workload};
use c10k_reports::record::{self, SearchReason, SearchStep};

use super::search::{Highest, Search, Step};
use super::{DISTURBED_STEPS, LONGEST_STEP, Objective, SHARES, error_share};
use crate::interrupt::Interrupt;
use crate::probe::Readings;
use crate::time;

/// Result of one measurement.
type Measured = (Summary, Readings);

/// A search for the capacity of one server.
pub struct Capacity<'a, D, M> {
    pub objective: &'a Objective,
    /// Workload that is sent. The search sets its rate; a step lasts at least as long as the
    /// workload.
    pub workload: Workload,
    /// Seed of the arrivals: the same for all subjects of a round.
    pub seed: u64,
    pub interrupt: &'a Interrupt,
    /// Waits until the server has handled all earlier requests. If a server never does, its
    /// capacity can't be measured.
    pub drain: D,
    /// Measures a workload, and keeps its histograms in the file if one is given.
    pub measure: M,
}

impl<D, M> Capacity<'_, D, M>
where
    D: Fn() -> Result<()>,
    M: FnMut(Workload, Option<&Path>) -> Result<Measured>,
{
    /// Searches for the capacity, then measures shares of it. Returns the measurement at the
    /// capacity itself, whose histograms are kept in `log`, and the steps of the search.
    pub fn find(mut self, log: &Path) -> Result<(Summary, Readings, record::Search)> {
        let mut steps = Vec::new();
        let Highest { holds_rps, breaks_rps } = self.search(&mut steps)?;
        let holds_rps = holds_rps.with_context(|| {
            let why = steps.last().and_then(|step| step.broken.clone()).unwrap_or_default();
            format!("it meets `{}` at no rate: {why}", self.objective)
        })?;
        let mut kept = None;
        for share in SHARES {
            let log = ((share - 1.0).abs() < f64::EPSILON).then_some(log);
            let (step, measured) = self.step(share * holds_rps, steps.len(), log)?;
            steps.push(SearchStep { share: Some(share), ..step });
            kept = if log.is_some() { measured } else { kept };
        }
        let (summary, readings) =
            kept.context("the rate at which it meets the objective could not be measured again")?;
        let search =
            record::Search { objective: self.objective.to_string(), holds_rps, breaks_rps, steps };
        Ok((summary, readings, search))
    }

    fn search(&mut self, steps: &mut Vec<SearchStep>) -> Result<Highest> {
        let mut search = Search::from(self.objective.requests() / LONGEST_STEP.as_secs_f64());
        let mut disturbed = 0;
        while let Some((rate, why)) = search.next() {
            let (step, _) = self.step(rate, steps.len(), None)?;
            let is_disturbed =
                step.disturbed && step.broken.is_some() && disturbed < DISTURBED_STEPS;
            if is_disturbed {
                disturbed += 1;
            } else {
                search.tell(match &step {
                    SearchStep { broken: None, .. } => Step::Holds,
                    SearchStep { by_generator: true, .. } => Step::Generator,
                    _ => Step::Breaks,
                });
            }
            steps.push(SearchStep { why, disturbed: is_disturbed, ..step });
        }
        Ok(search.highest())
    }

    /// Measures one rate, as step `number`, for as long as the objective needs. A measurement that
    /// fails, for example because no request completes, breaks the objective.
    fn step(
        &mut self,
        rate: f64,
        number: usize,
        log: Option<&Path>,
    ) -> Result<(SearchStep, Option<Measured>)> {
        (self.drain)()?;
        let workload = self.workload_at(rate, number);
        let mut step = SearchStep {
            why: SearchReason::Share,
            offered_rps: rate,
            share: None,
            goodput_rps: 0.0,
            error_share: 1.0,
            p50_us: None,
            p99_us: None,
            p999_us: None,
            broken: None,
            disturbed: false,
            by_generator: false,
        };
        let measured = (self.measure)(workload, log);
        ensure!(!self.interrupt.happened(), "interrupted");
        let measured = match measured {
            Ok(measured) => measured,
            Err(error) => {
                step.broken = Some(format!("{error:#}"));
                return Ok((step, None));
            }
        };
        let (summary, _) = &measured;
        let times = &summary.latency_us;
        let known = |quantile, us: f64| times.supports(quantile).then_some(us);
        step.goodput_rps = summary.throughput_rps;
        step.error_share = error_share(summary);
        (step.p50_us, step.p99_us) = (known(0.5, times.p50), known(0.99, times.p99));
        step.p999_us = known(0.999, times.p99_9);
        step.broken = self.objective.broken_by(summary);
        let has = |effect| summary.checks.iter().any(|check| check.effect == Some(effect));
        step.disturbed = has(Effect::Disturbed);
        step.by_generator = step.broken.is_some() && has(Effect::ThroughputIsABound);
        Ok((step, Some(measured)))
    }

    /// Returns a workload with random arrivals at a rate, different ones in each step, for as long
    /// as the objective needs.
    fn workload_at(&self, rate: f64, number: usize) -> Workload {
        let needed = Duration::from_secs_f64(self.objective.requests() / rate);
        let duration = match self.workload.until {
            Until::Elapsed(shortest) => shortest.max(needed),
            Until::Requests(_) | Until::Told => needed,
        };
        let seed = self.seed.wrapping_add((number as u64) << 32);
        Workload {
            pacing: Pacing::Open { rate, arrivals: Arrivals::Poisson, seed, spin: time::SPIN },
            until: Until::Elapsed(duration),
            interval: Workload::interval_of(duration),
            ..self.workload.clone()
        }
    }
}
