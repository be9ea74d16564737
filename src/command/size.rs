//! `c10k size`: says how many processors or machines a server needs for a rate, from measured runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use c10k_loadgen::check::Effect;
use c10k_reports::format;
use c10k_reports::record::{Parameter, Record, Run};

use crate::limits;
use crate::output::print;
use crate::procedure::Objective;
use crate::sizing::{Capacities, Need, Scaling, machines_for};

/// Say how many processors, or machines, a server needs for a rate
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of runs: of `c10k bench capacity` with the objective of --slo, and of
    /// `c10k bench scaling`
    #[arg(required = true, value_name = "RUN_DIR")]
    runs: Vec<PathBuf>,
    /// Requests per second that the server has to handle
    #[arg(long, value_name = "RPS", value_parser = limits::parse_rate)]
    rate: f64,
    /// Objective that the server has to meet, as in the run: `p99 < 5ms and errors < 0.1%`
    #[arg(long, value_name = "SLO")]
    slo: Objective,
    /// Only subject to report; without it, all subjects that were measured
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
}

/// Reason why a server may need less than its measurements show.
const BY_GENERATOR: &str = ", since the generator reached its own limit before the server did: measure with more processors for \
                            the generator, or with a slower handler";

/// Measured capacities and throughputs of a subject.
#[derive(Debug, Default)]
struct Known {
    /// Highest rates that met the objective, by number of processors.
    capacities: Capacities,
    /// Throughputs of a closed loop, by number of processors.
    throughputs: Capacities,
    /// True if the generator reached its own limit in a search, so that some capacities are only
    /// lower bounds.
    capacities_are_bounds: bool,
    /// The same for the throughputs.
    throughputs_are_bounds: bool,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for dir in &self.runs {
            let run = Run::load(dir)?;
            let server_cpus = run.environment.server_cpus.len().max(1) as u64;
            for record in
                run.records.iter().filter(|record| !record.superseded && record.disturbed.is_none())
            {
                let of = known.entry(record.cell.subject.clone()).or_default();
                of.add(record, server_cpus, &self.slo.to_string());
            }
        }
        known.retain(|subject, of| {
            self.subject.as_ref().is_none_or(|wanted| wanted == subject)
                && !of.capacities.is_empty()
        });
        ensure!(
            !known.is_empty(),
            "no run has a capacity{} for `{}`; measure one with `c10k bench capacity`, or give the \
             objective exactly as in the run",
            self.subject.as_ref().map_or_else(String::new, |subject| format!(" of {subject}")),
            self.slo
        );
        let texts = known.iter().map(|(subject, of)| of.tell(subject, self.rate, &self.slo));
        print(&texts.collect::<String>())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Known {
    fn add(&mut self, record: &Record, server_cpus: u64, slo: &str) {
        let processors = match record.parameters.get("processors") {
            Some(Parameter::Count(count)) => *count,
            _ => server_cpus,
        };
        let processors = u32::try_from(processors).unwrap_or(u32::MAX);
        if let Some(search) = &record.search {
            if search.objective == slo {
                self.capacities.entry(processors).or_default().push(search.holds_rps);
                self.capacities_are_bounds |= search.breaks_rps.is_none();
            }
        } else if record.valid
            && record.parameters.contains_key("processors")
            && let Some(throughput) = record.metrics.get("throughput_rps")
        {
            self.throughputs.entry(processors).or_default().push(*throughput);
            self.throughputs_are_bounds |= record.has_effect(Effect::ThroughputIsABound);
        }
    }

    /// Renders the number of machines and processors that the subject needs, in a few lines.
    fn tell(&self, subject: &str, rate: f64, slo: &Objective) -> String {
        let Some((&processors, rounds)) = self.capacities.last_key_value() else {
            return String::new();
        };
        let mut text = format!("{subject}: {rate} requests/s within {slo}\n");
        let machines = machines_for(rate, rounds);
        let each = format::plural(processors.into(), "processor");
        text += &match machines {
            Some(Need { high: Some(high), .. }) if self.capacities_are_bounds => {
                format!("  machines with {each} for it: at most {high}{BY_GENERATOR}\n")
            }
            Some(need) => format!("  machines with {each} for it: {}\n", in_words(need)),
            None => "  one round says nothing about machines; measure three\n".to_owned(),
        };
        text + &self.processors(processors, rounds, rate)
    }

    /// Renders the number of processors of one machine, if its scaling was measured: from
    /// capacities, or from throughputs that are scaled to the capacity.
    fn processors(&self, processors: u32, rounds: &[f64], rate: f64) -> String {
        let bounds = self.capacities_are_bounds
            || (self.capacities.len() < 2 && self.throughputs_are_bounds);
        if bounds {
            return format!("  processors of one machine: not known{BY_GENERATOR}\n");
        }
        let (curve, rate) = if self.capacities.len() > 1 {
            (&self.capacities, rate)
        } else {
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let Some(throughput) = self.throughputs.get(&processors) else {
                return "  processors: not known, there is no run of `c10k bench scaling`\n"
                    .to_owned();
            };
            (&self.throughputs, rate * mean(throughput) / mean(rounds))
        };
        let scaling = match Scaling::fit(curve, 1) {
            Ok(scaling) => scaling,
            Err(reason) => return format!("  processors: {reason}\n"),
        };
        let (sigma, kappa) = scaling.coefficients();
        let residuals = scaling.residuals(curve).into_iter();
        let residuals: Vec<String> = residuals
            .map(|(processors, share)| format!("{processors}: {:+.1} %", share * 100.0))
            .collect();
        let need = scaling.processors_for(rate).map_or_else(|reason| reason, in_words);
        format!(
            "  processors of one machine: {need}\n    by a curve with σ = {sigma:.4}, κ = {kappa:.6}; measured against it, by \
             processors: {}\n",
            residuals.join(", ")
        )
    }
}

fn in_words(Need { low, likely, high }: Need) -> String {
    match high {
        Some(high) if low == high => likely.to_string(),
        Some(high) => format!("{likely} ({low} to {high})"),
        None => format!("{likely} ({low} or more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rounds: [f64; 3]) -> Known {
        let throughputs =
            [(1, rounds), (2, rounds.map(|rps| rps * 2.0)), (4, rounds.map(|rps| rps * 4.0))];
        Known {
            capacities: [(1, rounds.to_vec())].into(),
            throughputs: throughputs
                .map(|(processors, rounds)| (processors, rounds.to_vec()))
                .into(),
            ..Known::default()
        }
    }

    fn told(known: &Known) -> String {
        known.tell("epoll", 100_000.0, &"p99 < 5ms".parse().unwrap())
    }

    #[test]
    fn a_rate_needs_as_many_machines_and_processors_as_capacity_and_scaling_say() {
        let text = told(&measured([29_000.0, 30_000.0, 31_000.0]));
        assert!(
            text.contains("machines with 1 processor for it: 4\n")
                && text.contains("of one machine: 4"),
            "{text}"
        );
    }

    #[test]
    fn a_capacity_that_is_a_lower_bound_limits_the_machines_and_leaves_the_processors_unknown() {
        let known =
            Known { capacities_are_bounds: true, ..measured([29_000.0, 30_000.0, 31_000.0]) };
        let text = told(&known);
        assert!(text.contains("for it: at most 4, since the generator"), "{text}");
        assert!(
            text.contains("processors of one machine: not known, since the generator"),
            "{text}"
        );
    }

    #[test]
    fn a_throughput_that_is_a_lower_bound_leaves_the_processors_unknown() {
        let known =
            Known { throughputs_are_bounds: true, ..measured([29_000.0, 30_000.0, 31_000.0]) };
        let text = told(&known);
        assert!(text.contains("machines with 1 processor for it: 4\n"), "{text}");
        assert!(
            text.contains("processors of one machine: not known, since the generator"),
            "{text}"
        );
    }
}
