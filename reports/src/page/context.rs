//! Input of a page's sections: the results, their charts, and the location of the page.

use crate::chart::{Figure, Figures};
use crate::results::Results;

/// Location of a page: the links from it that lead somewhere.
#[derive(Debug)]
pub struct Place {
    /// The run's folder, where its page and its SVG files are.
    pub run: Option<String>,
    /// Criterion's page.
    pub criterion: Option<String>,
    /// The list of all runs.
    pub index: Option<String>,
}

/// Input of the sections of a run.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// Findings of the run.
    pub results: &'a Results,
    /// Its charts.
    pub figures: &'a Figures,
    /// Location of the page.
    pub place: &'a Place,
}

/// A chart as the templates show it.
pub struct Chart<'a> {
    /// The chart.
    pub figure: &'a Figure,
    /// Its file, where that is written.
    pub file: Option<String>,
}

impl Page<'_> {
    /// `figures` as the templates show them.
    pub fn charts<'f>(&self, figures: &'f [Figure]) -> Vec<Chart<'f>> {
        let file = |figure: &Figure| Some(format!("{}{}", self.place.run.as_deref()?, figure.file_name));
        figures.iter().map(|figure| Chart { figure, file: file(figure) }).collect()
    }
}
