//! `c10k bench`: measures suites and writes reports.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use regex::Regex;

use crate::cpus::CpuList;
use crate::interrupt::Interrupt;
use crate::limits;
use crate::output::print;
use crate::runner::{Experiment, Finished};
use crate::suite::{Suite, label};

/// Measure suites of subjects and workloads, and write a report
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Built-in suites or files
    #[arg(default_value = "default", value_name = "SUITE")]
    suites: Vec<String>,
    /// Measure only cells whose SUBJECT/WORKLOAD matches
    #[arg(long, value_name = "REGEX")]
    filter: Option<Regex>,
    /// Measurements of each cell; without it, as the suite says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Fewer and shorter measurements, as the suite says
    #[arg(long)]
    quick: bool,
    /// List the cells and measure nothing
    #[arg(long)]
    list: bool,
    /// Seed of the order of measurements; without it, a random one, which is recorded
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Folder of the reports
    #[arg(long, default_value = "reports", value_name = "DIR")]
    output: PathBuf,
    /// Exit with status 1 if a measurement fails or a request in it
    #[arg(long)]
    strict: bool,
    /// A filter that no cell matches is no error: it was meant for somebody else
    #[arg(long, hide = true)]
    may_be_empty: bool,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        limits::raise_open_files();
        let suites = self.suites.iter().map(|name| self.read(name)).collect::<Result<Vec<_>>>()?;
        let selected: Vec<_> = suites
            .iter()
            .map(|suite| (suite, suite.cells(self.filter.as_ref())))
            .filter(|(_, cells)| !cells.is_empty())
            .collect();
        if self.list {
            let lines = selected.iter().flat_map(|(_, cells)| cells.iter().map(|cell| label(cell) + "\n"));
            print(&lines.collect::<String>())?;
            return Ok(ExitCode::SUCCESS);
        }
        if selected.is_empty() {
            return self.nothing_to_measure();
        }
        for (suite, cells) in &selected {
            let connections =
                cells.iter().filter_map(|cell| suite.workload(cell)).map(|workload| workload.connections);
            limits::check_connections(connections.max().unwrap_or(0))?;
        }
        let c10k =
            std::env::current_exe().context("cannot find the program that serves, which is this one")?;
        let interrupt = Interrupt::catch()?;
        let cpus = CpuList::available()?;
        let mut failed = 0;
        for (suite, cells) in selected {
            let seed = self.seed.unwrap_or_else(rand::random);
            let experiment =
                Experiment { suite, cells, seed, cpus: &cpus, c10k: &c10k, reports_dir: &self.output };
            let finished = experiment.run(&interrupt)?;
            failed += finished.failed;
            report(&finished, &self.output)?;
            if let Some(error) = finished.lost {
                return Err(error.into());
            }
            if finished.interrupted {
                return Ok(ExitCode::from(130));
            }
        }
        Ok(if self.strict && failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn read(&self, name: &str) -> Result<Suite> {
        let mut suite = Suite::read(name, self.quick)?;
        suite.pace.rounds = self.rounds.unwrap_or(suite.pace.rounds);
        Ok(suite)
    }

    fn nothing_to_measure(&self) -> Result<ExitCode> {
        let filter = self.filter.as_ref().map_or("", Regex::as_str);
        if !self.may_be_empty {
            bail!("no cell matches `{filter}`; --list shows them all");
        }
        print(&format!("no cell of {} matches `{filter}`, none was measured\n", self.suites.join(", ")))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn report(finished: &Finished, reports_dir: &Path) -> Result<()> {
    c10k_reports::render_run(&finished.dir)?;
    let index = c10k_reports::render_index(reports_dir)?;
    let index = index.canonicalize().unwrap_or(index);
    let interrupted =
        if finished.interrupted { "interrupted; the report has what was measured until then. " } else { "" };
    let failed = if finished.failed > 0 {
        format!("{} measurements failed. ", finished.failed)
    } else {
        String::new()
    };
    print(&format!("{interrupted}{failed}open file://{}\n", index.display()))
}
