//! `c10k gate`: whether a candidate is slower than its base.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use c10k_ci::block::{Arm, Block};
use c10k_ci::gate::{BLOCKS_FILE, Gate, PLAN_FILE};
use c10k_ci::margin::Margins;
use c10k_ci::output::{self, Format};
use c10k_ci::plan::Server;
use c10k_ci::verdict::Verdict;
use c10k_reports::WholeFile;
use clap::builder::ArgPredicate;

use crate::cpus::CpuList;
use crate::gate::counts;
use crate::gate::revision::{Checkout, Repository, WORKTREE};
use crate::gate::{Measuring, PAIRS, Side, Sides, rehearse, run};
use crate::interrupt::Interrupt;
use crate::limits;
use crate::output::{note, print};
use crate::plan::Placement;
use crate::progress::Progress;
use crate::subject::{Program, Subject};
use crate::suite::Suite;
use crate::time;

/// Exit status of an interrupted gate, of a shell's convention.
const INTERRUPTED: u8 = 130;

/// Exit status of a gate that can't tell.
const UNDECIDED: u8 = 3;

/// How a revision is built where nothing else is said.
const BUILD: &str = "cargo build --release --locked";

/// Tell whether a candidate is slower than its base, at a known rate of false alarms
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["base", "base_command"]))]
pub struct Args {
    /// Revision to compare with; it is built in a worktree of its own
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Revision to judge, or `worktree` for the working tree with its uncommitted changes
    #[arg(long, value_name = "REV", default_value = WORKTREE, conflicts_with = "base_command")]
    candidate: String,
    /// Command that builds a revision
    #[arg(long, value_name = "COMMAND", default_value = BUILD, conflicts_with = "base_command")]
    build: String,
    /// Command that serves, run where a revision was built, with {port} where its port belongs; without it, the
    /// suite's models are served by the c10k that was built
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
    /// Measure a copy of the base, too: what that one alarms about is undecided
    #[arg(long)]
    null: bool,
    /// Compare counts per request instead of times: system calls, user instructions, allocations
    #[arg(long, conflicts_with = "budget")]
    counts: bool,
    /// Seed of all random orders; without it, a random one, which is recorded
    #[arg(long, value_name = "N")]
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
        let interrupt = Interrupt::catch()?;
        let suite = Suite::read(&self.suite, false)?;
        ensure!(
            suite.subjects.len() == 1,
            "the suite of a gate has one subject, and {} has {}",
            suite.name,
            suite.subjects.len()
        );
        let margins = self.margins()?.only(|key| counts::is_counted(key) == self.counts);
        fs::create_dir_all(&self.output).with_context(|| format!("cannot make {}", self.output.display()))?;
        let mut blocks_file = create(&self.output.join(BLOCKS_FILE))?;
        let built = self.build(&suite)?;
        let cpus = CpuList::available()?;
        let placement = Placement::of(&cpus);
        if let Some(generator) = &placement.generator {
            generator.pin()?;
        }
        let seed = self.seed.unwrap_or_else(rand::random);
        let measuring =
            Measuring { suite: &suite, sides: built.sides, placement, margins: &margins, seed, pairs: PAIRS };
        let rehearsal = if self.counts {
            counts::rehearse(&measuring, &interrupt)?
        } else {
            rehearse(&measuring, self.budget, &interrupt)?
        };
        let plan = measuring.plan(&rehearsal, self.budget, &cpus);
        self.write(PLAN_FILE, &(serde_json::to_string_pretty(&plan)? + "\n"))?;
        let mut blocks = Vec::new();
        let mut progress = Progress::new(rehearsal.blocks as usize, rehearsal.block_time * rehearsal.blocks);
        run(&measuring, &rehearsal, &interrupt, |block| {
            append(&mut blocks_file, &block)?;
            progress.advance(&format!("block {}", block.number), false);
            blocks.push(block);
            Ok(())
        })?;
        progress.finish();
        if interrupt.happened() {
            note("c10k: interrupted; a gate without all of its blocks has no verdict\n");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        let gate = Gate::judged(plan, blocks);
        self.tell(&gate)?;
        Ok(match gate.judgement.verdict {
            Verdict::Regressed => ExitCode::FAILURE,
            Verdict::Undecided => ExitCode::from(UNDECIDED),
            _ => ExitCode::SUCCESS,
        })
    }

    /// Writes every format into the folder, and prints the verdict.
    fn tell(&self, gate: &Gate) -> Result<()> {
        let text =
            |format: &Format| (format.write)(gate).map_err(|error| anyhow!("{}: {error}", format.file));
        for format in output::ALL {
            self.write(format.file, &text(format)?)?;
        }
        print(&if self.json { text(&output::JSON)? } else { output::text::write(gate) })
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        Ok(WholeFile::open(&self.output.join(file))?.write(text)?)
    }

    fn margins(&self) -> Result<Margins> {
        let Some(file) = &self.margins else { return Ok(Margins::built_in()) };
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Margins::parse(&text).with_context(|| format!("the margins {}", file.display()))
    }

    fn build(&self, suite: &Suite) -> Result<Built> {
        if let (Some(base), Some(candidate)) = (&self.base_command, &self.candidate_command) {
            let side = |arm, name: &str, command: &str| -> Result<Side> {
                let c10k = Arc::new(Program::this()?);
                let described = Server { name: None, revision: None, command: command.to_owned() };
                Ok(Side { arm, subject: Subject::from_command(name, command)?, c10k, described })
            };
            let (base, candidate) =
                (side(Arm::Base, "base", base)?, side(Arm::Candidate, "candidate", candidate)?);
            return Ok(Built { sides: Sides::new(base, candidate, self.null), _checkouts: Vec::new() });
        }
        let repository = Repository::here()?;
        let base = self.base.as_deref().context("--base is missing")?;
        // A mistake in either name is told before the first build.
        repository.commit(base)?;
        let folder = fs::canonicalize(&self.output)?.join("builds");
        let build = |arm, revision: &str, name: &str| -> Result<(Side, Checkout)> {
            let checkout = repository.check_out(revision, folder.join(name))?;
            note(&format!("building {} ({})\n", revision, checkout.revision));
            checkout.build(&self.build)?;
            Ok((self.side(arm, revision, suite, &checkout)?, checkout))
        };
        let (base, base_checkout) = build(Arm::Base, base, "base")?;
        let (candidate, candidate_checkout) = build(Arm::Candidate, &self.candidate, "cand")?;
        Ok(Built {
            sides: Sides::new(base, candidate, self.null),
            _checkouts: vec![base_checkout, candidate_checkout],
        })
    }

    fn side(&self, arm: Arm, name: &str, suite: &Suite, checkout: &Checkout) -> Result<Side> {
        let subject = match &self.serve {
            None => suite.subjects[0].subject.clone(),
            Some(serve) => Subject::from_command("server", serve)?.in_folder(checkout.folder()),
        };
        let described = Server {
            name: Some(name.to_owned()),
            revision: Some(checkout.revision.clone()),
            command: subject.command_template(),
        };
        let c10k = Arc::new(Program::at(&checkout.folder().join("target/release/c10k")));
        Ok(Side { arm, subject, c10k, described })
    }
}

/// Both sides, and the checkouts that must stay for as long as they are served.
struct Built {
    sides: Sides,
    _checkouts: Vec<Checkout>,
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

fn append(file: &mut File, block: &Block) -> Result<()> {
    let line = serde_json::to_string(block)? + "\n";
    file.write_all(line.as_bytes()).context("cannot write a block")
}
