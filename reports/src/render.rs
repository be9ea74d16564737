//! Writes the pages: of one run, and of all.

use std::fs;
use std::path::{Path, PathBuf};

use crate::chart::Figures;
use crate::error::Error;
use crate::file;
use crate::load::load_run;
use crate::page::{self, Listed, Place};
use crate::record::RUNS_DIR;
use crate::results::Results;

const PAGE_FILE: &str = "index.html";

/// Path of criterion's pages, from the folder of all reports.
const CRITERION_PAGE: &str = "criterion/report/index.html";

/// Path of the page of the newest gate, from the folder of all reports.
const GATE_PAGE: &str = "gate/index.html";

/// Renders the run in `run_dir` (`<reports>/runs/<name>`): writes its SVG files and `index.html` into
/// it, and returns the path of the latter. Measures nothing; a file is replaced whole or not at all.
///
/// # Errors
///
/// Where the run cannot be read, is of an unknown version, or its folder cannot be written.
pub fn render_run(run_dir: &Path) -> Result<PathBuf, Error> {
    let results = Results::with_histograms(load_run(run_dir)?);
    let figures = Figures::of(&results);
    for figure in figures.all() {
        file::replace(&run_dir.join(&figure.file_name), &figure.svg)?;
    }
    let reports_dir = run_dir.join("../..");
    let place = Place {
        run: Some(String::new()),
        criterion: criterion_link(&reports_dir, "../../"),
        index: is_among_runs(run_dir).then(|| format!("../../{PAGE_FILE}")),
    };
    let page = page::run_page(&results, &figures, &place)?;
    let path = run_dir.join(PAGE_FILE);
    file::replace(&path, &page)?;
    Ok(path)
}

/// Renders `<reports_dir>/index.html`, which lists the runs in `<reports_dir>/runs`, newest first, and
/// shows the newest that can be read in full; returns its path. A run that cannot be read is listed
/// with its error.
///
/// # Errors
///
/// Where `reports_dir` cannot be read or written.
pub fn render_index(reports_dir: &Path) -> Result<PathBuf, Error> {
    let names = run_names(&reports_dir.join(RUNS_DIR))?;
    let mut listed = Vec::new();
    let mut newest = None;
    for name in names {
        let dir = reports_dir.join(RUNS_DIR).join(&name);
        let run = load_run(&dir);
        if let (None, Ok(run)) = (&newest, &run) {
            newest = Some((name.clone(), Results::with_histograms(run.clone())));
        }
        let link = dir.join(PAGE_FILE).is_file().then(|| format!("{RUNS_DIR}/{name}/{PAGE_FILE}"));
        listed.push(Listed::of(name, link, run));
    }
    let gate = reports_dir.join(GATE_PAGE).is_file().then_some(GATE_PAGE);
    let page = match newest {
        Some((name, results)) => {
            let rendered = reports_dir.join(RUNS_DIR).join(&name).join(PAGE_FILE).is_file();
            let place = Place {
                run: rendered.then(|| format!("{RUNS_DIR}/{name}/")),
                criterion: criterion_link(reports_dir, ""),
                index: None,
            };
            page::index_page(&listed, gate, Some((&results, &Figures::of(&results), &place)))?
        }
        None => page::index_page(&listed, gate, None)?,
    };
    let path = reports_dir.join(PAGE_FILE);
    file::replace(&path, &page)?;
    Ok(path)
}

/// Names of the folders in `runs`, newest first: they begin with the time. None where there is no
/// such folder.
fn run_names(runs: &Path) -> Result<Vec<String>, Error> {
    if !runs.exists() {
        return Ok(Vec::new());
    }
    let entries =
        fs::read_dir(runs).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(Error::reading(runs))?;
    let folders = entries.into_iter().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> =
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

/// Whether [`render_index`] lists this run, so that its page may link to the list before that is
/// written.
fn is_among_runs(run_dir: &Path) -> bool {
    let absolute = run_dir.canonicalize().ok();
    absolute.is_some_and(|dir| dir.parent().is_some_and(|parent| parent.ends_with(RUNS_DIR)))
}

/// The link to criterion's page, behind `prefix`, where there is such a page.
fn criterion_link(reports_dir: &Path, prefix: &str) -> Option<String> {
    reports_dir.join(CRITERION_PAGE).is_file().then(|| format!("{prefix}{CRITERION_PAGE}"))
}
