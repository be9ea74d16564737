//! `c10k report`: renders runs again from their records; never measures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use c10k_ci::gate::{Gate, PLAN_FILE};

use crate::output::{note, print};

/// Render reports again from the records of runs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of runs, such as reports/runs/20260101T000000Z-default, or of gates, such as
    /// reports/gate; a folder that can't be rendered is named, and the others are still rendered
    #[arg(required = true, value_name = "RUN_DIR")]
    runs: Vec<PathBuf>,
}

impl Args {
    pub fn run(&self) -> ExitCode {
        let mut status = ExitCode::SUCCESS;
        let mut tell = |rendered: Result<()>| {
            // A folder that can't be rendered does not stop the others.
            if let Err(error) = rendered {
                note(&format!("c10k: {error:#}\n"));
                status = ExitCode::from(2);
            }
        };
        for run in &self.runs {
            tell(render(run));
        }
        let indexes: BTreeSet<_> = self.runs.iter().filter_map(|run| reports_dir(run)).collect();
        for reports_dir in indexes {
            tell(c10k_reports::render_index(&reports_dir).map(drop).map_err(Into::into));
        }
        status
    }
}

/// Renders a run or a gate, and prints the path of its page.
fn render(run: &Path) -> Result<()> {
    let page = if run.join(PLAN_FILE).is_file() {
        c10k_ci::page::write(&Gate::read(run)?, run)?
    } else {
        c10k_reports::render_run(run)?
    };
    print(&format!("{}\n", page.display()))
}

/// Returns the folder whose index lists this run or gate; `None` if the run or gate is not where
/// the harness writes them.
fn reports_dir(run: &Path) -> Option<PathBuf> {
    c10k_ci::page::reports_dir(run).or_else(|| {
        let run = run.canonicalize().ok()?;
        let runs = run.parent()?;
        (runs.file_name()? == "runs").then(|| runs.parent().map(Path::to_owned))?
    })
}
