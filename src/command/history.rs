//! `c10k history`: finds the steps in a history of gates, and adds gates to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use c10k_ci::gate::Gate;
use c10k_ci::history::{self, Entry, History, Names};
use c10k_reports::{PAGE_FILE, WholeFile};

use crate::output::{note, print};

/// Default path of the history.
const FILE: &str = "ci/history/gate.jsonl";

/// Find the revisions since which a server is slower or faster, in a history of gates
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    add: Option<Subcommand>,
    /// The history, as JSON Lines
    #[arg(value_name = "FILE", default_value = FILE)]
    file: PathBuf,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
    /// Folder of the page
    #[arg(long, default_value = "reports/history", value_name = "DIR")]
    output: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    Add(Add),
}

/// Add a finished gate of a revision against the anchor
#[derive(Debug, clap::Args)]
struct Add {
    /// Folder of the gate, such as reports/gate
    #[arg(value_name = "GATE_DIR")]
    gate: PathBuf,
    /// The history; created if it does not exist
    #[arg(long, value_name = "FILE", default_value = FILE)]
    file: PathBuf,
    /// Name of the anchor, if the gate compared commands
    #[arg(long, value_name = "NAME", requires = "revision")]
    anchor: Option<String>,
    /// Name of the revision, if the gate compared commands
    #[arg(long, value_name = "NAME", requires = "anchor")]
    revision: Option<String>,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        match &self.add {
            Some(Subcommand::Add(add)) => add.run()?,
            None => self.tell()?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn tell(&self) -> Result<()> {
        let history = History::of(&history::read(&self.file)?);
        let page = write_page(&history, &self.file, &self.output)?;
        if self.json {
            return print(&history::json::write(&history)?);
        }
        print(&history::text::write(&history))?;
        note(&format!("the page: {}\n", page.display()));
        Ok(())
    }
}

/// Writes the page, and returns its path.
fn write_page(history: &History, file: &Path, folder: &Path) -> Result<PathBuf> {
    let page = history::page(history, &file.display().to_string())?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(PAGE_FILE);
    WholeFile::open(&path)?.write(&page)?;
    Ok(path)
}

impl Add {
    fn run(&self) -> Result<()> {
        let gate = Gate::read(&self.gate)?;
        let names = self.anchor.clone().zip(self.revision.clone());
        let entry = Entry::of(&gate, names.map(|(anchor, revision)| Names { anchor, revision }))
            .with_context(|| format!("cannot add {}", self.gate.display()))?;
        let line = history::append(&self.file, &entry)?;
        print(&format!("{} is line {line} of {}\n", entry.revision, self.file.display()))
    }
}
