//! Writes the HTML pages: the page of one run, and the page that lists all runs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::chart::Figures;
use crate::error::Error;
use crate::file::{self, PAGE_FILE};
use crate::load::load_run;
use crate::page::{self, Listed, Place};
use crate::record::RUNS_DIR;
use crate::results::Results;

/// Path of criterion's pages, relative to the folder of all reports.
const CRITERION_PAGE: &str = "criterion/report/index.html";

/// Path of the page of the newest gate, relative to the folder of all reports.
const GATE_PAGE: &str = "gate/index.html";

/// Renders the run in `run_dir` (`<reports>/runs/<name>`): writes its SVG files and `index.html`
/// into that folder, and returns the path of `index.html`. Measures nothing. Each file is replaced
/// as a whole or not at all.
///
/// # Errors
///
/// Returns an error if the run cannot be read or is of an unknown version, or if its folder cannot
/// be written.
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

/// Renders `<reports_dir>/index.html` and returns its path. The page lists the runs in
/// `<reports_dir>/runs`, newest first, and shows in full the newest run that can be read. A run
/// that cannot be read is listed with its error.
///
/// # Errors
///
/// Returns an error if `reports_dir` cannot be read or written.
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

/// Lists the names of the folders in `runs`, newest first, since the names begin with the time. The
/// list is empty if `runs` does not exist.
fn run_names(runs: &Path) -> Result<Vec<String>, Error> {
    if !runs.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(runs)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(Error::reading(runs))?;
    let folders = entries.into_iter().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> =
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

/// Returns true if [`render_index`] lists this run. Its page may then link to the list, even before
/// the list is written.
fn is_among_runs(run_dir: &Path) -> bool {
    let absolute = run_dir.canonicalize().ok();
    absolute.is_some_and(|dir| dir.parent().is_some_and(|parent| parent.ends_with(RUNS_DIR)))
}

/// Returns the link to criterion's page, with `prefix` in front; `None` if there is no such page.
fn criterion_link(reports_dir: &Path, prefix: &str) -> Option<String> {
    reports_dir.join(CRITERION_PAGE).is_file().then(|| format!("{prefix}{CRITERION_PAGE}"))
}
