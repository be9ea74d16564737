//! `c10k bench`: measures suites and writes reports.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use c10k_reports::record::{self, Environment, Run, Source};
use serde_json::{Value, json};
use url::Url;

use crate::cpus::CpuList;
use crate::environment;
use crate::interrupt::{self, Interrupt};
use crate::limits;
use crate::network::{self, Network};
use crate::output::{note, print};
use crate::plan::{Place, Plan};
use crate::progress::about;
use crate::runner::{self, Finished};
use crate::subject::{Program, Subject};
use crate::suite::filter::Filter;
use crate::suite::{self, Cell, Suite};

/// Measure suites of subjects and workloads, and write a report
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Built-in suites (see benches/suites) or TOML files
    #[arg(default_value = "default", value_name = "SUITE")]
    suites: Vec<String>,
    /// Measure only cells whose SUBJECT/WORKLOAD matches, or whose axis has that value, such as
    /// connections=64; may be repeated, and a cell has to match all of them
    #[arg(long = "filter", value_name = "REGEX|AXIS=VALUE")]
    filters: Vec<Filter>,
    /// Measure these subjects instead: names of models, of servers of the catalogue, and of
    /// subjects of the suite, or `all`; separated by commas
    #[arg(long, value_name = "NAMES|all", value_delimiter = ',')]
    subjects: Vec<String>,
    /// A further subject of the suites: a command that serves, with {port} where its port belongs;
    /// may be repeated
    #[arg(long = "server", value_name = "NAME=COMMAND")]
    servers: Vec<String>,
    /// Measurements of each cell; without it, as the suite says
    #[arg(long, value_name = "N", value_parser = limits::whole(1..=1000_u32))]
    rounds: Option<u32>,
    /// Fewer and shorter measurements, as the suite says
    #[arg(long)]
    quick: bool,
    /// List the cells, tell the estimated time, and measure nothing
    #[arg(long)]
    list: bool,
    /// With --list: print one JSON object, or an array if several suites are named
    #[arg(long, requires = "list")]
    json: bool,
    /// Print the JSON Schema of suites, for editors, and measure nothing
    #[arg(long, exclusive = true)]
    schema: bool,
    /// Continue an interrupted run, in its folder, with its seed and its order
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["filters", "subjects", "servers", "rounds", "quick", "list", "seed", "output"]
    )]
    resume: Option<PathBuf>,
    /// Seed of the order of measurements; without it, a random one, which is recorded
    #[arg(long, value_name = "N", value_parser = limits::whole(0..=u64::MAX))]
    seed: Option<u64>,
    /// Folder of the reports
    #[arg(long, default_value = "reports", value_name = "DIR")]
    output: PathBuf,
    /// Exit with status 1 if a request or a check of a measurement fails; a failed measurement
    /// always has this status
    #[arg(long)]
    strict: bool,
    /// Accept a filter that no cell matches: it may be meant for another bench
    #[arg(long, hide = true)]
    may_be_empty: bool,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        if self.schema {
            print(&(serde_json::to_string_pretty(&suite::schema())? + "\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        limits::raise_open_files();
        if let Some(dir) = &self.resume {
            return self.resume(dir);
        }
        let suites = self.read()?;
        let selected: Vec<_> =
            suites.iter().map(|suite| (suite, suite.cells(&self.filters))).collect();
        if self.list {
            print(&if self.json { list_json(&selected)? } else { list(&selected) })?;
            if !self.json {
                note(&summary(&selected));
            }
            return Ok(ExitCode::SUCCESS);
        }
        allow_networks(&selected)?;
        limits::check_threads()?;
        let c10k = Program::this()?;
        let cpus = CpuList::available()?;
        let place = Place { cpus: &cpus, c10k: &c10k, reports_dir: &self.output };
        let mut plans = Vec::new();
        for (suite, cells) in selected {
            let plan = Plan::new(suite, &cells, self.seed.unwrap_or_else(rand::random), &place);
            let filters = self.filters.iter().map(ToString::to_string).collect();
            let subjects = self.subjects.clone();
            let servers = self.servers.clone();
            plans.push(Plan {
                source: Source { filters, subjects, servers, ..plan.source },
                ..plan
            });
        }
        for (name, reason) in plans.iter().flat_map(|plan| &plan.skipped) {
            note(&format!("c10k: {name} is left out: {reason}\n"));
        }
        if let Some(line) = plans.first().and_then(|plan| plan.placement.sharing()) {
            note(&format!("c10k: {line}\n"));
        }
        plans.retain(|plan| !plan.cells.is_empty());
        if plans.is_empty() {
            return self.nothing_to_measure();
        }
        let interrupt = Interrupt::catch()?;
        let runs = plans.iter().map(|plan| runner::run(plan, &interrupt));
        self.conclude(runs, &self.output)
    }

    /// Continues an interrupted run, no matter what interrupted it.
    fn resume(&self, dir: &Path) -> Result<ExitCode> {
        let run = Run::load(dir)?;
        let Environment { source, revision, rounds, seed, cells, .. } = &run.environment;
        let source = source.as_ref().with_context(|| {
            format!(
                "{} was started by a c10k that did not record its plan; start a new run",
                dir.display()
            )
        })?;
        ensure!(
            *revision == environment::REVISION,
            "{} was measured with revision {revision}, and this is {}: continue with that one, or \
             start a new run",
            dir.display(),
            environment::REVISION
        );
        let mut suite = Suite::parse(&source.suite, source.quick)?;
        complete(&mut suite, Some(*rounds), &source.subjects, &source.servers)?;
        let filters =
            source.filters.iter().map(|filter| filter.parse()).collect::<Result<Vec<Filter>>>()?;
        let selected = suite.cells(&filters);
        allow_networks(&[(&suite, selected.clone())])?;
        limits::check_threads()?;
        let c10k = Program::this()?;
        let cpus = CpuList::available()?;
        // The parent of the run's folder holds all runs, and lies in the folder of the reports.
        let dir = dir.canonicalize()?;
        let reports_dir = dir.ancestors().nth(2).unwrap_or(&dir);
        let place = Place { cpus: &cpus, c10k: &c10k, reports_dir };
        let plan = Plan::new(&suite, &selected, *seed, &place);
        let planned: Vec<record::Cell> = plan.cells.iter().map(|cell| suite.names(*cell)).collect();
        ensure!(
            planned == *cells,
            "{} has other cells than can be measured now, because installed programs or limits \
             have changed; start a new run",
            dir.display()
        );
        let interrupt = Interrupt::catch()?;
        self.conclude([runner::resume(&plan, &run, &interrupt)], reports_dir)
    }

    /// Reports each run as it ends, and returns the exit status for all of them.
    fn conclude(
        &self,
        runs: impl IntoIterator<Item = Result<Finished>>,
        reports_dir: &Path,
    ) -> Result<ExitCode> {
        let mut failed = 0;
        let mut against = 0;
        for finished in runs {
            let finished = finished?;
            failed += finished.failed;
            against += finished.with_failed_requests + finished.not_valid;
            let reported = report(&finished, reports_dir);
            // A disk that is too full for a record has no space for a page either, so this error
            // comes first.
            if let Some(error) = finished.lost {
                return Err(error.into());
            }
            reported?;
            if finished.interrupted {
                return Ok(ExitCode::from(interrupt::STATUS));
            }
        }
        let is_against = failed > 0 || (self.strict && against > 0);
        Ok(if is_against { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn read(&self) -> Result<Vec<Suite>> {
        let mut suites = Vec::new();
        for name in &self.suites {
            for mut suite in Suite::read_all(name, self.quick)? {
                complete(&mut suite, self.rounds, &self.subjects, &self.servers)?;
                suites.push(suite);
            }
        }
        Ok(suites)
    }

    fn nothing_to_measure(&self) -> Result<ExitCode> {
        let filters =
            self.filters.iter().map(ToString::to_string).collect::<Vec<_>>().join("` and `");
        let meant =
            if filters.is_empty() { String::new() } else { format!(" that match `{filters}`") };
        let line =
            format!("there are no cells of {}{meant} to measure here", self.suites.join(", "));
        ensure!(self.may_be_empty, "{line}; --list shows them all");
        print(&format!("{line}\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Gains the right to make networks if a cell needs one, and makes one to try it. This has to come
/// before the first thread.
///
/// # Errors
/// When the machine refuses it: loopback alone would not answer the question of the suite.
fn allow_networks(selected: &[(&Suite, Vec<Cell>)]) -> Result<()> {
    let mut cells =
        selected.iter().flat_map(|(suite, cells)| cells.iter().map(move |cell| (suite, cell)));
    let needing = cells.find_map(|(suite, cell)| {
        let topology = suite.workloads[cell.workload].load.network()?;
        Some((suite.label(*cell), topology))
    });
    let Some((label, topology)) = needing else { return Ok(()) };
    let tried = network::enter_user_namespace().and_then(|()| Network::build(topology));
    tried.map(drop).with_context(|| {
        format!(
            "{label} needs a network of the topology `{topology}` (leave such cells out with \
             --filter topology=loopback)"
        )
    })
}

/// Applies the options of the command line to a suite.
fn complete(
    suite: &mut Suite,
    rounds: Option<u32>,
    subjects: &[String],
    servers: &[String],
) -> Result<()> {
    suite.pace.rounds = rounds.unwrap_or(suite.pace.rounds);
    let mut chosen = subjects.to_vec();
    for server in servers {
        let (name, command) = server.split_once('=').ok_or_else(|| {
            anyhow!("--server `{server}`: write NAME=COMMAND, with {{port}} in the command")
        })?;
        suite.add(Subject::from_command(name, command)?)?;
        chosen.push(name.to_owned());
    }
    if !subjects.is_empty() {
        suite.choose(&chosen)?;
    }
    Ok(())
}

fn list(selected: &[(&Suite, Vec<Cell>)]) -> String {
    selected
        .iter()
        .flat_map(|(suite, cells)| cells.iter().map(|cell| suite.label(*cell) + "\n"))
        .collect()
}

/// Renders the number of cells and the estimated time of all suites: one line.
fn summary(selected: &[(&Suite, Vec<Cell>)]) -> String {
    let cells: usize = selected.iter().map(|(_, cells)| cells.len()).sum();
    let estimate = selected.iter().map(|(suite, cells)| suite.estimate(cells)).sum();
    format!("{cells} cells, {} in all rounds\n", about(estimate))
}

/// Renders one object, or an array of objects if several suites are named.
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
    if let Some(found) = c10k_reports::claim_of(&finished.dir)? {
        print(&found)?;
    }
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

/// Returns the address of a page for a browser, percent-encoded; the path itself if it is not
/// absolute.
fn file_url(page: &Path) -> String {
    Url::from_file_path(page).map_or_else(|()| page.display().to_string(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_page_in_any_folder_can_be_opened() {
        let page = Path::new("/tmp/a b#1/100 %/\u{fc}?/index.html");
        assert_eq!(file_url(page), "file:///tmp/a%20b%231/100%20%25/%C3%BC%3F/index.html");
        assert_eq!(file_url(Path::new("reports/index.html")), "reports/index.html");
    }
}
