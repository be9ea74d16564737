//! A rendered page and its charts, as tests look at them.

use std::fs;
use std::path::{Path, PathBuf};

use c10k_reports::record::{Environment, Record};
use c10k_reports::{RunWriter, render_run};
use tempfile::TempDir;

/// Renders a run of `records`. Returns the folder of reports, the folder of the run, and the page.
pub fn render(environment: &Environment, records: &[Record]) -> (TempDir, PathBuf, String) {
    let reports = tempfile::tempdir().unwrap();
    let mut run = RunWriter::create(reports.path(), environment).unwrap();
    for record in records {
        run.append(record).unwrap();
    }
    let page = fs::read_to_string(render_run(run.dir()).unwrap()).unwrap();
    let dir = run.dir().to_path_buf();
    (reports, dir, page)
}

/// Returns the part of `page` from `from` up to the next `to`.
pub fn part<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let start = page.find(from).unwrap_or_else(|| panic!("{from:?} is missing"));
    let length =
        page[start..].find(to).unwrap_or_else(|| panic!("{to:?} is missing after {from:?}"));
    &page[start..start + length]
}

/// Returns the SVG files in `dir`.
pub fn charts_in(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "svg")).collect()
}

/// Asserts that all lines and points of the chart in `path` lie within its `viewBox`.
pub fn assert_within(path: &Path) {
    let svg = fs::read_to_string(path).unwrap();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let size: Vec<f64> = document
        .root_element()
        .attribute("viewBox")
        .unwrap()
        .split(' ')
        .map(|n| n.parse().unwrap())
        .collect();
    for node in document.descendants() {
        for point in node.attribute("points").unwrap_or_default().split_whitespace() {
            let (x, y) = point.split_once(',').unwrap();
            let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
            assert!(
                (0.0..=size[2]).contains(&x) && (0.0..=size[3]).contains(&y),
                "{} has {point}",
                path.display()
            );
        }
    }
}
