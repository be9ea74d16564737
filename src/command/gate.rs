//! `c10k gate`: says if a candidate is slower than its base.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use c10k_ci::block::Arm;
use c10k_ci::gate::Gate;
use c10k_ci::margin::Margins;
use c10k_ci::{output, page};
use clap::builder::ArgPredicate;

use crate::cpus::CpuList;
use crate::gate::build_command::BuildCommand;
use crate::gate::builds::{BUILD, Build, Builder};
use crate::gate::conduct::conduct;
use crate::gate::counts;
use crate::gate::folder::Folder;
use crate::gate::revision::WORKTREE;
use crate::gate::{Lane, Measuring, Side, Sides, suite};
use crate::interrupt::{self, Interrupt};
use crate::limits;
use crate::output::{note, print};
use crate::plan::Placement;
use crate::subject::Subject;
use crate::suite::Suite;
use crate::time;

/// Tell if a candidate is slower than its base, at a known rate of false alarms
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["base", "base_command"]))]
pub struct Args {
    /// Revision to compare with; both revisions are built in worktrees in the folder for temporary
    /// files, which `TMPDIR` sets
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Revision to judge, or `worktree` for the working tree with its uncommitted changes
    #[arg(long, value_name = "REV", default_value = WORKTREE, conflicts_with = "base_command")]
    candidate: String,
    /// Command that builds a revision, run in its worktree with `CARGO_TARGET_DIR` set to `target`
    /// there
    #[arg(long, value_name = "COMMAND", default_value = BUILD, conflicts_with = "base_command")]
    build: String,
    /// Command that serves, run in the worktree of a revision, with {port} where its port belongs;
    /// without it, the suite's model is served by the target/release/c10k that was built
    #[arg(long, value_name = "COMMAND", conflicts_with = "base_command")]
    serve: Option<String>,
    /// A server to compare with, with {port} where its port belongs
    #[arg(long, value_name = "COMMAND", requires = "candidate_command")]
    base_command: Option<String>,
    /// The server to judge, with {port} where its port belongs
    #[arg(long, value_name = "COMMAND", requires = "base_command")]
    candidate_command: Option<String>,
    /// Suite that names the workloads
    #[arg(long, value_name = "FILE", default_value = "gate")]
    #[arg(default_value_if("counts", ArgPredicate::IsPresent, "counts"))]
    suite: String,
    /// Time for measuring; it decides the number of blocks
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time::parse_positive)]
    budget: Duration,
    /// File of margins; without it, those of ci/margins.toml
    #[arg(long, value_name = "FILE")]
    margins: Option<PathBuf>,
    /// Measure a copy of the base, too: a metric that raises an alarm for the copy is undecided
    #[arg(long)]
    null: bool,
    /// Compare counts per request instead of times: system calls, user instructions, allocations
    #[arg(long, conflicts_with = "budget")]
    counts: bool,
    /// Seed of all random orders; without it, a random one, which is recorded
    #[arg(long, value_name = "N", value_parser = limits::whole(0..=u64::MAX))]
    seed: Option<u64>,
    /// Folder of the results
    #[arg(long, default_value = "reports/gate", value_name = "DIR")]
    output: PathBuf,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        limits::raise_open_files();
        limits::check_threads()?;
        let interrupt = Interrupt::catch()?;
        let folder = Folder::open(&self.output)?;
        let gate = self.measure(&folder, &interrupt);
        if interrupt.happened() {
            note("c10k: interrupted; a gate without all of its blocks has no verdict\n");
            return Ok(ExitCode::from(interrupt::STATUS));
        }
        let gate = gate?;
        folder.write_results(&gate)?;
        self.tell_page();
        let json =
            || (output::JSON.write)(&gate).map_err(|error| anyhow!("the result as JSON: {error}"));
        print(&if self.json { json()? } else { output::text::write(&gate) })?;
        Ok(gate.judgement.verdict.exit_code())
    }

    /// Prints the path of the page, and adds the gate to the list of all reports. The verdict does
    /// not depend on that list, so that an error there is only printed.
    fn tell_page(&self) {
        let index = page::reports_dir(&self.output).map(|dir| c10k_reports::render_index(&dir));
        if let Some(Err(error)) = index {
            note(&format!("c10k: {error}\n"));
        }
        note(&format!("page: {}\n", self.output.join(c10k_reports::PAGE_FILE).display()));
    }

    /// Measures as the arguments ask. The builds are removed at the end.
    fn measure(&self, folder: &Folder, interrupt: &Interrupt) -> Result<Gate> {
        let suite = suite::read(&self.suite)?;
        let margins = self.margins()?;
        let cpus = CpuList::available()?;
        let (sides, _builds) = self.sides(&suite, folder, interrupt)?;
        let measuring = Measuring {
            suite: &suite,
            sides,
            placement: Placement::of(&cpus),
            margins: &margins,
            seed: self.seed.unwrap_or_else(rand::random),
        };
        let lane = if self.counts { Lane::Counts } else { Lane::Time(self.budget) };
        conduct(&measuring, lane, &cpus, folder, interrupt)
    }

    /// Reads the margins of the metrics that are measured. One of them must decide, or the budget
    /// would be spent for nothing.
    fn margins(&self) -> Result<Margins> {
        let margins = Margins::read(self.margins.as_deref())?;
        let margins = margins.only(|key| counts::is_counted(key) == self.counts);
        let (lane, example) = if self.counts {
            ("a count", "system_calls_per_request")
        } else {
            ("a time", "server_cpu_us_per_request")
        };
        ensure!(
            margins.decide(),
            "no margin of {lane} decides, so that the gate would be undecided; give one `decides = true`, such as \
             that of {example}"
        );
        Ok(margins)
    }

    /// Returns both sides, and their builds, which must be kept for as long as they are served.
    fn sides(
        &self,
        suite: &Suite,
        folder: &Folder,
        interrupt: &Interrupt,
    ) -> Result<(Sides, Vec<Build>)> {
        let Some(base) = &self.base else { return Ok((self.sides_from_commands()?, Vec::new())) };
        let subject = match &self.serve {
            None => suite.subjects[0].subject.clone(),
            Some(serve) => Subject::from_command("--serve", serve)?,
        };
        let command = BuildCommand::parse(&self.build)?;
        let builder = Builder { command, subject, folder: folder.builds()? };
        let builds = builder.build([base, &self.candidate], interrupt)?;
        let [base, candidate] = builds.each_ref().map(|build| build.side.clone());
        Ok((Sides::new(base, candidate, self.null), builds.into()))
    }

    fn sides_from_commands(&self) -> Result<Sides> {
        let base = self.base_command.as_deref().context("--base or --base-command is missing")?;
        let candidate =
            self.candidate_command.as_deref().context("--candidate-command is missing")?;
        let base = Side::from_command(Arm::Base, "--base-command", base)?;
        let candidate = Side::from_command(Arm::Candidate, "--candidate-command", candidate)?;
        Ok(Sides::new(base, candidate, self.null))
    }
}
