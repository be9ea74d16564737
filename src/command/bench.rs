//! `c10k bench`: measures suites and writes reports.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};
use url::Url;

use crate::cpus::CpuList;
use crate::interrupt::Interrupt;
use crate::limits;
use crate::output::{note, print};
use crate::plan::{Place, Plan};
use crate::runner::{self, Finished};
use crate::subject::{Program, Subject};
use crate::suite::filter::Filter;
use crate::suite::{Cell, Suite};

/// Measure suites of subjects and workloads, and write a report
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Built-in suites (anatomy, default, models, servers) or TOML files
    #[arg(default_value = "default", value_name = "SUITE")]
    suites: Vec<String>,
    /// Measure only cells whose SUBJECT/WORKLOAD matches, or whose axis has that value, such as connections=64; may be
    /// repeated, and all have to match
    #[arg(long = "filter", value_name = "REGEX|AXIS=VALUE")]
    filters: Vec<Filter>,
    /// A further subject of the suites: a command that serves, with {port} where its port belongs; may be repeated
    #[arg(long = "server", value_name = "NAME=COMMAND")]
    servers: Vec<String>,
    /// Measurements of each cell; without it, as the suite says
    #[arg(long, value_name = "N", value_parser = limits::whole(1..=1000_u32))]
    rounds: Option<u32>,
    /// Fewer and shorter measurements, as the suite says
    #[arg(long)]
    quick: bool,
    /// List the cells and measure nothing
    #[arg(long)]
    list: bool,
    /// With --list: print one JSON object, with the estimated time
    #[arg(long, requires = "list")]
    json: bool,
    /// Seed of the order of measurements; without it, a random one, which is recorded
    #[arg(long, value_name = "N", value_parser = limits::whole(0..=u64::MAX))]
    seed: Option<u64>,
    /// Folder of the reports
    #[arg(long, default_value = "reports", value_name = "DIR")]
    output: PathBuf,
    /// Exit with status 1 if a request fails, or a check of a measurement; a measurement that fails always does that
    #[arg(long)]
    strict: bool,
    /// A filter that no cell matches is no error: it may be meant for another bench
    #[arg(long, hide = true)]
    may_be_empty: bool,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        limits::raise_open_files();
        let suites = self.suites.iter().map(|name| self.read(name)).collect::<Result<Vec<_>>>()?;
        let selected: Vec<_> = suites.iter().map(|suite| (suite, suite.cells(&self.filters))).collect();
        if self.list {
            print(&if self.json { list_json(&selected)? } else { list(&selected) })?;
            return Ok(ExitCode::SUCCESS);
        }
        limits::check_threads()?;
        let c10k = Program::this()?;
        let cpus = CpuList::available()?;
        let place = Place { cpus: &cpus, c10k: &c10k, reports_dir: &self.output };
        let mut plans = Vec::new();
        for (suite, cells) in selected {
            plans.push(Plan::new(suite, &cells, self.seed.unwrap_or_else(rand::random), &place));
        }
        for (name, reason) in plans.iter().flat_map(|plan| &plan.skipped) {
            note(&format!("c10k: {name} is left out: {reason}\n"));
        }
        if let Some(line) = plans.first().and_then(|plan| plan.placement.sharing()) {
            note(&format!("c10k: {line}\n"));
        }
        plans.retain(|plan| !plan.cells.is_empty());
        if plans.is_empty() { self.nothing_to_measure() } else { self.measure(&plans) }
    }

    fn measure(&self, plans: &[Plan<'_>]) -> Result<ExitCode> {
        let interrupt = Interrupt::catch()?;
        let mut failed = 0;
        let mut against = 0;
        for plan in plans {
            let finished = runner::run(plan, &interrupt)?;
            failed += finished.failed;
            against += finished.with_failed_requests + finished.not_valid;
            report(&finished, &self.output)?;
            if let Some(error) = finished.lost {
                return Err(error.into());
            }
            if finished.interrupted {
                return Ok(ExitCode::from(130));
            }
        }
        let is_against = failed > 0 || (self.strict && against > 0);
        Ok(if is_against { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn read(&self, name: &str) -> Result<Suite> {
        let mut suite = Suite::read(name, self.quick)?;
        suite.pace.rounds = self.rounds.unwrap_or(suite.pace.rounds);
        for server in &self.servers {
            let (name, command) = server.split_once('=').ok_or_else(|| {
                anyhow!("--server `{server}`: write NAME=COMMAND, with {{port}} in the command")
            })?;
            suite.add(Subject::from_command(name, command)?)?;
        }
        Ok(suite)
    }

    fn nothing_to_measure(&self) -> Result<ExitCode> {
        let filters = self.filters.iter().map(ToString::to_string).collect::<Vec<_>>().join("` and `");
        let meant = if filters.is_empty() { String::new() } else { format!(" that match `{filters}`") };
        let line = format!("there are no cells of {}{meant} to measure here", self.suites.join(", "));
        ensure!(self.may_be_empty, "{line}; --list shows them all");
        print(&format!("{line}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn list(selected: &[(&Suite, Vec<Cell>)]) -> String {
    selected.iter().flat_map(|(suite, cells)| cells.iter().map(|cell| suite.label(*cell) + "\n")).collect()
}

/// One object; where several suites are named, an array of them.
fn list_json(selected: &[(&Suite, Vec<Cell>)]) -> Result<String> {
    let suite = |(suite, cells): &(&Suite, Vec<Cell>)| {
        let cell = |cell: &Cell| {
            let names = suite.names(*cell);
            json!({ "subject": names.subject, "workload": names.workload, "parameters": suite.parameters(*cell) })
        };
        json!({
            "suite": suite.name,
            "estimated_s": suite.estimate(cells).as_secs_f64(),
            "cells": cells.iter().map(cell).collect::<Vec<_>>(),
        })
    };
    let value = match selected {
        [one] => suite(one),
        several => Value::Array(several.iter().map(suite).collect()),
    };
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn report(finished: &Finished, reports_dir: &Path) -> Result<()> {
    c10k_reports::render_run(&finished.dir)?;
    let index = c10k_reports::render_index(reports_dir)?;
    let index = index.canonicalize().unwrap_or(index);
    let mut text = String::new();
    if finished.interrupted {
        text += "interrupted; the report has what was measured until then. ";
    }
    for (count, what) in [
        (finished.failed, "failed"),
        (finished.with_failed_requests, "had failed requests"),
        (finished.not_valid, "did not pass their checks"),
    ] {
        if count > 0 {
            text += &format!("{count} measurements {what}. ");
        }
    }
    print(&format!("{text}open {}\n", file_url(&index)))
}

/// The address of a page for a browser, percent-encoded; the path itself where it is not absolute.
fn file_url(page: &Path) -> String {
    Url::from_file_path(page).map_or_else(|()| page.display().to_string(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_page_can_be_opened_whatever_its_folder_is_called() {
        let page = Path::new("/tmp/a b#1/100 %/\u{fc}?/index.html");
        assert_eq!(file_url(page), "file:///tmp/a%20b%231/100%20%25/%C3%BC%3F/index.html");
        assert_eq!(file_url(Path::new("reports/index.html")), "reports/index.html");
    }
}
