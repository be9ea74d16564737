//! `c10k compare`: two runs, or two subjects of one run, side by side.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use c10k_ci::compare::{Side, compare, json, text};
use c10k_ci::margin::Margins;
use c10k_reports::results::Results;

use crate::output::print;

/// Compare two runs, or two subjects, cell by cell; weaker evidence than `c10k gate`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run to compare with: its folder, or `RUN_DIR:SUBJECT` for one subject of it
    a: String,
    /// Run to judge: its folder, or `RUN_DIR:SUBJECT` for one subject of it
    b: String,
    /// File of margins; without it, those of ci/margins.toml
    #[arg(long, value_name = "FILE")]
    margins: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        let margins = Margins::read(self.margins.as_deref())?;
        let comparison = compare(&side(&self.a)?, &side(&self.b)?, &margins)?;
        print(&if self.json { json::write(&comparison)? } else { text::write(&comparison) })?;
        Ok(comparison.judgement.verdict.exit_code())
    }
}

/// Reads one side. If the whole name is an existing path, its colon separates no subject.
fn side(name: &str) -> Result<Side> {
    let (folder, subject) = match name.rsplit_once(':') {
        Some((folder, subject)) if !Path::new(name).exists() => (folder, Some(subject.to_owned())),
        _ => (name, None),
    };
    let run = c10k_reports::load_run(Path::new(folder))?;
    Ok(Side {
        name: name.to_owned(),
        folder: fs::canonicalize(folder).with_context(|| format!("cannot read {folder}"))?,
        results: Results::without_histograms(run),
        subject,
    })
}
