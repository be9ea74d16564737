//! Chart: a metric along the axis of a question, with a curve per subject and a panel per
//! combination of the other axes. It is the chart that answers a question.

use plotters::style::text_anchor::HPos;

use super::along::x_axis;
use super::axis::Axis;
use super::canvas::{self, Canvas, Font, Place};
use super::grid::Grid;
use super::heading::Heading;
use super::legend::Legend;
use super::palette::{FAILED, Look, look};
use super::panel::{Frame, Panel, TEXT};
use super::quantity::Quantity;
use super::reading::{bounds_note, doubts_note, legend_labels};
use super::single;
use crate::results::{self, CellResult, Layout, Results};
use crate::statistics::spread::Value;

/// Width of the chart, in px. On a phone the chart is wider than the page and scrolls within
/// itself.
const WIDTH_PX: f64 = 1040.0;

/// Width of the heading, in px: the part of the chart that a phone shows before it is scrolled.
const HEADING_WIDTH_PX: f64 = 540.0;

const MARKER_PX: f64 = 4.5;

/// Length of the arrow above a point that is only a lower bound, in px.
const ARROW_PX: f64 = 14.0;

/// A chart while it is drawn: the data that all its panels share.
struct Chart<'a> {
    results: &'a Results,
    layout: &'a Layout,
    quantity: &'a Quantity,
    x: Axis,
    /// Y axis of all panels; with different axes, panels side by side would mislead.
    y: Axis,
}

/// One point of a curve.
struct Point<'a> {
    /// Position on the x axis.
    x: f64,
    cell: &'a CellResult,
    value: Value,
}

/// Draws `quantity` along `layout`; `None` if no cell has a value.
pub fn draw(results: &Results, layout: &Layout, quantity: &Quantity) -> Option<String> {
    let points = layout.panels.iter().flat_map(|panel| &panel.points);
    let cells: Vec<&CellResult> =
        points.flat_map(|(_, workload)| results.of_workload(*workload)).collect();
    let spreads =
        || cells.iter().filter_map(|cell| cell.value(quantity.metric)).map(|value| value.spread);
    let low = spreads().map(|spread| spread.low).reduce(f64::min)?;
    let high = spreads().map(|spread| spread.high).reduce(f64::max)?;
    let y = quantity.axis_between(low, high);
    let chart = Chart { results, layout, quantity, x: x_axis(layout), y };

    let title = format!("{} by {}", quantity.metric.title, layout.title);
    let bounds = bounds_note(&cells, quantity.metric, "arrow");
    let note =
        format!("point: median, whisker: {}{bounds}{}", results.interval(), doubts_note(&cells));
    let heading = Heading::layout(&title, &note, HEADING_WIDTH_PX);
    let legend = Legend::layout(legend_labels(results, &cells), WIDTH_PX);
    let titles = layout.panels.iter().map(|panel| panel.title.as_slice());
    let grid = Grid::layout(titles, heading.height_px() + legend.height_px(), WIDTH_PX);
    Some(canvas::draw((WIDTH_PX as u32, grid.bottom_px() as u32), &title, |canvas| {
        heading.draw(canvas);
        legend.draw(canvas, heading.height_px());
        for (index, panel) in layout.panels.iter().enumerate() {
            let frame = grid.draw_title(canvas, index);
            chart.draw_panel(canvas, frame, panel);
        }
    }))
}

impl Chart<'_> {
    fn draw_panel(&self, canvas: &mut Canvas, frame: Frame, panel: &results::Panel) {
        let axes = Panel::draw(canvas, frame, self.x.clone(), self.y.clone());
        let missing = Font { color: FAILED, align: HPos::Right, ..TEXT };
        canvas.text(&self.missing(panel), (frame.right, frame.top - 18.0), missing);
        for subject in 0..self.results.environment.subjects.len() {
            self.draw_subject(canvas, &axes, &self.points(panel, subject), look(subject));
        }
    }

    fn draw_subject(&self, canvas: &mut Canvas, axes: &Panel, points: &[Point], look: Look) {
        let at = |point: &Point, value: f64| axes.at(point.x, self.quantity.on_axis(value));
        let place = |point: &Point| at(point, point.value.spread.median);
        for run in runs(points) {
            let places: Vec<Place> = run.points.iter().map(place).collect();
            single::curve(canvas, &places, look, run.in_doubt);
        }
        for point in points {
            // A whisker that is shorter than its point would only blur the point.
            let (low, high) =
                (at(point, point.value.spread.low), at(point, point.value.spread.high));
            if low.1 - high.1 > 2.0 * MARKER_PX {
                canvas.whisker(low, high, look.color);
            }
            if point.value.at_least {
                canvas.arrow_up(place(point), look.color, ARROW_PX);
            }
            if is_in_doubt(point) {
                canvas.hollow_marker(place(point), look, MARKER_PX + 0.5);
            } else {
                canvas.marker(place(point), look, MARKER_PX);
            }
        }
    }

    /// Returns the points of one subject in a panel, from the low end of the axis to the high end.
    fn points(&self, panel: &results::Panel, subject: usize) -> Vec<Point<'_>> {
        let points = panel.points.iter().filter_map(|(station, workload)| {
            let cell = self.results.of_workload(*workload).find(|cell| cell.subject == subject)?;
            let value = cell.value(self.quantity.metric)?;
            Some(Point { x: self.x.ticks[*station].0, cell, value })
        });
        points.collect()
    }

    /// Names the points without a value, so that a curve that ends early is explained.
    fn missing(&self, panel: &results::Panel) -> String {
        let cells = panel.points.iter().flat_map(|(station, workload)| {
            self.results.of_workload(*workload).map(move |cell| (station, cell))
        });
        let missing = cells.filter(|(_, cell)| cell.value(self.quantity.metric).is_none());
        let texts = missing.map(|(station, cell)| {
            let name = self.results.subject_name(cell);
            format!("{name} at {}", self.layout.stations[*station].label)
        });
        match texts.collect::<Vec<_>>().as_slice() {
            [] => String::new(),
            few if few.len() < 3 => format!("no result: {}", few.join(", ")),
            many => format!("no result: {} points", many.len()),
        }
    }
}

fn is_in_doubt(point: &Point) -> bool {
    !point.cell.doubts().is_empty()
}

/// A piece of a curve.
struct CurveRun<'a> {
    points: &'a [Point<'a>],
    in_doubt: bool,
}

/// Divides a curve into pieces that are drawn alike. Pieces between points without a doubt are as
/// long as possible; each step to or from a point in doubt is a piece of its own.
fn runs<'a>(points: &'a [Point<'a>]) -> Vec<CurveRun<'a>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for end in 1..points.len() {
        let in_doubt = is_in_doubt(&points[end]) || is_in_doubt(&points[end - 1]);
        if in_doubt {
            runs.push(CurveRun { points: &points[start..end], in_doubt: false });
            runs.push(CurveRun { points: &points[end - 1..=end], in_doubt: true });
            start = end;
        }
    }
    runs.push(CurveRun { points: &points[start..], in_doubt: false });
    runs.retain(|run| run.points.len() > 1);
    runs
}
