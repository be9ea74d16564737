//! The whole page: its sections in their order.

use std::path::{Path, PathBuf};

use c10k_reports::{Error, PAGE_FILE, WholeFile, format};

use super::context::Page;
use super::{compared, failures, repeat, sensitivity, verdict, words, workloads};
use crate::gate::Gate;

/// Renders one section.
type Section = fn(&Page) -> askama::Result<String>;

/// Sections of a gate. The sections that a reviewer acts on come first.
const SECTIONS: &[Section] = &[
    verdict::render,
    failures::render,
    compared::render,
    sensitivity::render,
    workloads::render,
    repeat::render,
];

/// Writes the page of `gate` into its folder, and returns its path.
///
/// # Errors
/// When the page can't be written. Histograms that can't be read are reported on the page.
pub fn write(gate: &Gate, folder: &Path) -> Result<PathBuf, Error> {
    let page = Page::of(gate, folder);
    let sections: askama::Result<Vec<String>> =
        SECTIONS.iter().map(|section| section(&page)).collect();
    let verdict = words::capital(&gate.judgement.verdict.to_string());
    let title = format!("c10k gate: {verdict}, {}", format::date(&gate.plan.started_utc));
    let path = folder.join(PAGE_FILE);
    WholeFile::open(&path)?.write(&c10k_reports::document(&title, &sections?)?)?;
    Ok(path)
}
