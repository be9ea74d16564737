//! A whole page of one run: its sections in their order.

use askama::Template;

use super::context::{Page, Place};
use super::{
    caution, checks, claim, instrument, machine, missing, more, questions, summary, title,
    what_was_run, workloads,
};
use crate::chart::Figures;
use crate::error::Error;
use crate::format;
use crate::results::Results;

/// Function that renders one section; it returns an empty string if there is nothing to show.
type Section = fn(&Page) -> askama::Result<String>;

/// The sections of a run: results first, then the machine and the instrument that they depend on.
const SECTIONS: &[Section] = &[
    title::render,
    claim::render,
    what_was_run::render,
    caution::render,
    questions::render,
    summary::render,
    checks::render,
    missing::render,
    workloads::render,
    machine::render,
    instrument::render,
    more::render,
];

#[derive(Template)]
#[template(path = "page.html")]
struct Document<'a> {
    title: &'a str,
    sections: &'a [String],
}

/// Renders the page of one run.
pub fn run_page(results: &Results, figures: &Figures, place: &Place) -> Result<String, Error> {
    let environment = &results.environment;
    let title = format!("c10k: {}, {}", environment.suite, format::date(&environment.started_utc));
    document(&title, &run_sections(&Page { results, figures, place })?)
}

/// Renders a page that holds `sections`, which are HTML, in the style that all pages share.
///
/// # Errors
///
/// Returns an error if the template can't be filled in.
pub fn document(title: &str, sections: &[String]) -> Result<String, Error> {
    Ok(Document { title, sections }.render()?)
}

/// Renders the sections of one run.
pub fn run_sections(page: &Page) -> askama::Result<Vec<String>> {
    SECTIONS.iter().map(|section| section(page)).collect()
}
