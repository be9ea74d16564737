//! `c10k report`: renders runs again from their records; never measures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use crate::output::{note, print};

/// Render reports again from the records of runs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of runs, such as reports/runs/20260101T000000Z-default
    #[arg(required = true, value_name = "RUN_DIR")]
    runs: Vec<PathBuf>,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        let mut status = ExitCode::SUCCESS;
        for run in &self.runs {
            // A run that can't be rendered takes nothing from the others.
            if let Err(error) = render(run) {
                note(&format!("c10k: {error:#}\n"));
                status = ExitCode::from(2);
            }
        }
        Ok(status)
    }
}

/// Renders a run, and anew the index that lists it.
fn render(run: &Path) -> Result<()> {
    let page = c10k_reports::render_run(run)?;
    print(&format!("{}\n", page.display()))?;
    if let Some(reports_dir) = reports_dir(run) {
        c10k_reports::render_index(&reports_dir)?;
    }
    Ok(())
}

/// The folder whose index lists this run: that above `runs`, if the run lies where runs are written.
fn reports_dir(run: &Path) -> Option<PathBuf> {
    let run = run.canonicalize().ok()?;
    let runs = run.parent()?;
    (runs.file_name()? == "runs").then(|| runs.parent().map(Path::to_owned))?
}
