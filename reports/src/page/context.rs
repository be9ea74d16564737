//! Input of a page's sections: the results, their charts, and the location of the page.

use crate::chart::{Figure, Figures};
use crate::results::Results;

/// Location of a page, given by its links. A link is `None` if there is nothing to link to.
#[derive(Debug)]
pub struct Place {
    /// Link to the run's folder, which holds its page and its SVG files.
    pub run: Option<String>,
    /// Link to criterion's page.
    pub criterion: Option<String>,
    /// Link to the list of all runs.
    pub index: Option<String>,
}

/// Input of the sections of a run.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// Findings of the run.
    pub results: &'a Results,
    /// Charts of the run.
    pub figures: &'a Figures,
    /// Location of the page.
    pub place: &'a Place,
}

/// A chart as the templates show it.
pub struct Chart<'a> {
    /// The chart.
    pub figure: &'a Figure,
    /// Link to the chart's SVG file; `None` if the file is not written.
    pub file: Option<String>,
}

impl Page<'_> {
    /// Converts `figures` to the form that the templates show.
    pub fn charts<'f>(&self, figures: &'f [Figure]) -> Vec<Chart<'f>> {
        let file =
            |figure: &Figure| Some(format!("{}{}", self.place.run.as_deref()?, figure.file_name));
        figures.iter().map(|figure| Chart { figure, file: file(figure) }).collect()
    }
}
