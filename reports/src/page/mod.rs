//! Pages: one file per section, each a function from what a page shows to HTML, listed below in the order of the page.
//!
//! A page is one file: styles and charts are within it, it loads nothing, and it holds nothing that runs. Templates are
//! filled in by `askama`, which escapes whatever a suite, a command or an error may contain.

mod caution;
mod index;
mod instrument;
mod machine;
mod more;
mod overview;
mod summary;
mod title;
mod what_was_run;
mod workloads;

use askama::Template;

use crate::Error;
use crate::chart::{Figure, Figures};
use crate::results::Results;

pub use index::{Listed, index_page};

/// Renders one section; an empty text where it has nothing to say.
type Section = fn(&Page) -> askama::Result<String>;

/// The sections of a run.
const SECTIONS: &[Section] = &[
    title::render,
    what_was_run::render,
    machine::render,
    instrument::render,
    caution::render,
    overview::render,
    summary::render,
    workloads::render,
    more::render,
];

/// Where a page lies: the links from it that lead somewhere.
#[derive(Debug)]
pub struct Place {
    /// The run's folder, where its page and its SVG files are.
    pub run: Option<String>,
    /// Criterion's page.
    pub criterion: Option<String>,
    /// The list of all runs.
    pub index: Option<String>,
}

/// What the sections of a run are made from.
#[derive(Clone, Copy)]
struct Page<'a> {
    results: &'a Results,
    figures: &'a Figures,
    place: &'a Place,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Document<'a> {
    title: String,
    sections: &'a [String],
}

/// The page of one run.
pub fn run_page(results: &Results, figures: &Figures, place: &Place) -> Result<String, Error> {
    let environment = &results.environment;
    let title = format!("c10k: {}, {}", environment.suite, crate::format::date(&environment.started_utc));
    let sections = run_sections(&Page { results, figures, place })?;
    Ok(Document { title, sections: &sections }.render()?)
}

fn run_sections(page: &Page) -> askama::Result<Vec<String>> {
    SECTIONS.iter().map(|section| section(page)).collect()
}

/// A chart as the templates show it.
struct Chart<'a> {
    figure: &'a Figure,
    /// Its file, where that is written.
    file: Option<String>,
}

impl Page<'_> {
    fn charts<'f>(&self, figures: &'f [Figure]) -> Vec<Chart<'f>> {
        let file = |figure: &Figure| Some(format!("{}{}", self.place.run.as_deref()?, figure.file_name));
        figures.iter().map(|figure| Chart { figure, file: file(figure) }).collect()
    }
}
