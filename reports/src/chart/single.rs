//! A chart of one panel with a curve for each cell of a workload: its heading, legend and frame,
//! and points that show doubts.

use super::axis::Axis;
use super::canvas::{self, Canvas, Place};
use super::heading::Heading;
use super::legend::Legend;
use super::palette::Look;
use super::panel::{ABOVE_PX, BELOW_PX, Frame, Panel, WIDTH_PX};
use super::reading::legend_labels;
use crate::results::{CellResult, Results};

const PANEL_PX: f64 = 270.0;

/// Opacity of the curve of a cell in doubt.
const FAINT: f64 = 0.35;

/// Parts of the chart around the curves.
pub struct Single<'a> {
    /// Title of the chart.
    pub title: &'a str,
    /// Note below the title.
    pub note: &'a str,
    /// The x axis.
    pub x: Axis,
    /// The y axis.
    pub y: Axis,
}

impl Single<'_> {
    /// Draws the chart as SVG; `curves` draws into its panel.
    pub fn draw(
        self,
        results: &Results,
        cells: &[&CellResult],
        curves: impl FnOnce(&mut Canvas, &Panel),
    ) -> String {
        let heading = Heading::layout(self.title, self.note, WIDTH_PX);
        let legend = Legend::layout(legend_labels(results, cells), WIDTH_PX);
        let top = heading.height_px() + legend.height_px() + ABOVE_PX;
        let height = top + PANEL_PX + BELOW_PX;
        canvas::draw((WIDTH_PX as u32, height as u32), self.title, |canvas| {
            heading.draw(canvas);
            legend.draw(canvas, heading.height_px());
            let frame = Frame { left: 72.0, top, right: WIDTH_PX - 24.0, bottom: top + PANEL_PX };
            let panel = Panel::draw(canvas, frame, self.x, self.y);
            curves(canvas, &panel);
        })
    }
}

/// Draws the curve of a cell.
pub fn curve(canvas: &mut Canvas, places: &[Place], look: Look, in_doubt: bool) {
    canvas.curve(places, look, if in_doubt { FAINT } else { 1.0 });
}

/// Draws a point of a cell's curve.
pub fn point(canvas: &mut Canvas, place: Place, look: Look, in_doubt: bool) {
    if in_doubt {
        canvas.hollow_marker(place, look, 4.0);
    } else {
        canvas.marker(place, look, 3.5);
    }
}
