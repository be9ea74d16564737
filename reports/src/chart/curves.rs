//! Chart: a metric along the axis of a question, a curve per subject, a panel per combination of the
//! other axes. It is the picture of a question.

use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::canvas::{self, Canvas, Font, Place, text_width_px};
use super::heading::Heading;
use super::legend::Legend;
use super::palette::{FAILED, Look, look};
use super::panel::{ABOVE_PX, BELOW_PX, Frame, Panel, TEXT, TEXT_PX, TITLE_LEFT_PX};
use super::quantity::Quantity;
use super::reading::{bounds_note, doubts_note, legend_labels};
use crate::record::Scale;
use crate::results::{self, CellResult, Layout, Results};
use crate::statistics::lead::Value;

/// Two panels fit side by side; on a phone the chart is wider than the page and scrolls within itself.
const WIDTH_PX: f64 = 1040.0;

const PANELS_PER_ROW: usize = 2;

/// Width of the heading: what a phone shows of the chart before it is scrolled.
const HEADING_WIDTH_PX: f64 = 540.0;

const PANEL_PX: f64 = 300.0;

/// Height of a line of a panel's title, in px.
const TITLE_LINE_PX: f64 = 19.0;

const MARKER_PX: f64 = 4.5;

/// Length of the arrow above a point that is only a lower bound, in px.
const ARROW_PX: f64 = 14.0;

/// Opacity of a piece of curve that leads to a point in doubt.
const FAINT: f64 = 0.35;

/// Space left of a panel for its ticks, in px.
const TICKS_PX: f64 = 74.0;

/// A chart under way: what all its panels share.
struct Chart<'a> {
    results: &'a Results,
    layout: &'a Layout,
    quantity: &'a Quantity,
    x: Axis,
    /// One axis for all panels, or panels side by side would mislead.
    y: Axis,
}

/// One point of a curve.
struct Point<'a> {
    /// Where it lies on the x axis.
    x: f64,
    cell: &'a CellResult,
    value: Value,
}

/// The chart of `quantity` along `layout`; nothing where no cell has a value.
pub fn draw(results: &Results, layout: &Layout, quantity: &Quantity) -> Option<String> {
    let points = layout.panels.iter().flat_map(|panel| &panel.points);
    let cells: Vec<&CellResult> = points.flat_map(|(_, workload)| results.of_workload(*workload)).collect();
    let spreads = || cells.iter().filter_map(|cell| cell.value(quantity.metric)).map(|value| value.spread);
    let low = spreads().map(|spread| spread.low).reduce(f64::min)?;
    let high = spreads().map(|spread| spread.high).reduce(f64::max)?;
    let y = quantity.axis_between(low, high);
    let chart = Chart { results, layout, quantity, x: x_axis(layout), y };

    let title = format!("{} by {}", quantity.metric.title, layout.title);
    let bounds = bounds_note(&cells, quantity.metric, "arrow");
    let note = format!("point: median, whisker: {}{bounds}{}", results.interval(), doubts_note(&cells));
    let heading = Heading::layout(&title, &note, HEADING_WIDTH_PX);
    let legend = Legend::layout(legend_labels(results, &cells), WIDTH_PX);
    let columns = layout.panels.len().min(PANELS_PER_ROW);
    let column_px = WIDTH_PX / columns as f64;
    let titles: Vec<Vec<String>> =
        layout.panels.iter().map(|panel| title_lines(&panel.title, column_px)).collect();
    let title_px = TITLE_LINE_PX * titles.iter().map(Vec::len).max().unwrap_or(0) as f64 + 7.0;
    let row_px = title_px + ABOVE_PX + PANEL_PX + BELOW_PX;
    let above_px = heading.height_px() + legend.height_px();
    let height = above_px + row_px * layout.panels.len().div_ceil(PANELS_PER_ROW) as f64;
    Some(canvas::draw((WIDTH_PX as u32, height as u32), &title, |canvas| {
        heading.draw(canvas);
        legend.draw(canvas, heading.height_px());
        for (index, (panel, title)) in layout.panels.iter().zip(&titles).enumerate() {
            let left = column_px * (index % columns) as f64;
            let top = above_px + row_px * (index / columns) as f64;
            draw_title(canvas, title, (left, top));
            let top = top + title_px + ABOVE_PX;
            let right = left + column_px - 24.0;
            let frame = Frame { left: left + TICKS_PX, top, right, bottom: top + PANEL_PX };
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
            canvas.curve(&places, look, if run.in_doubt { FAINT } else { 1.0 });
        }
        for point in points {
            // A whisker shorter than its point would only blur it.
            let (low, high) = (at(point, point.value.spread.low), at(point, point.value.spread.high));
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

    /// The points of one subject in a panel, from the low end of the axis to the high one.
    fn points(&self, panel: &results::Panel, subject: usize) -> Vec<Point<'_>> {
        let points = panel.points.iter().filter_map(|(station, workload)| {
            let cell = self.results.of_workload(*workload).find(|cell| cell.subject == subject)?;
            let value = cell.value(self.quantity.metric)?;
            Some(Point { x: self.x.ticks[*station].0, cell, value })
        });
        points.collect()
    }

    /// Which points are not there, so that a curve that ends early is explained.
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

/// A piece of curve.
struct CurveRun<'a> {
    points: &'a [Point<'a>],
    in_doubt: bool,
}

/// Pieces of a curve that are drawn alike: those between sound points as long as possible, those to or
/// from a point in doubt one by one.
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

/// The axis of `layout`: numbers by their value or its logarithm, and below them, apart, what is none.
fn x_axis(layout: &Layout) -> Axis {
    let is_log = layout.scale == Scale::Log;
    let position = |value: f64| if is_log { value.log10() } else { value };
    let numbers: Vec<f64> =
        layout.stations.iter().filter_map(results::Station::number).map(position).collect();
    let apart = layout.stations.len() - numbers.len();
    let step = apart_step(&numbers);
    let first = numbers.first().copied().unwrap_or(apart as f64 * step);
    let places = (0..apart).map(|index| first - step * (apart - index) as f64).chain(numbers.iter().copied());
    let marks = places.zip(&layout.stations).map(|(place, station)| (place, station.label.clone()));
    let broken_at = (apart > 0 && !numbers.is_empty()).then(|| first - step / 2.0);
    let scale = if is_log { ", log scale" } else { "" };
    Axis::of_marks(&format!("{}{scale}", layout.title), marks.collect(), broken_at)
}

/// How far what is no number lies from the first number and from its neighbour: as far as numbers lie
/// from each other on average, but never so little that labels would touch.
fn apart_step(numbers: &[f64]) -> f64 {
    const LEAST_SHARE: f64 = 0.15;
    match numbers {
        [first, .., last] => {
            let span = last - first;
            (span / (numbers.len() - 1) as f64).clamp(span * LEAST_SHARE, span * 0.5)
        }
        _ => 1.0,
    }
}

fn draw_title(canvas: &mut Canvas, lines: &[String], (left, top): Place) {
    let bold = Font { bold: true, ..TEXT };
    for (index, line) in lines.iter().enumerate() {
        let y = top + 14.0 + TITLE_LINE_PX * index as f64;
        canvas.text(line, (left + TITLE_LEFT_PX, y), bold);
    }
}

/// The parts of a panel's title in lines that fit, broken between parts only.
fn title_lines(parts: &[String], width_px: f64) -> Vec<String> {
    let width_px = width_px - 2.0 * TITLE_LEFT_PX;
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        let longer = lines.last().map(|line| format!("{line} · {part}"));
        match longer.filter(|longer| text_width_px(longer, TEXT_PX * 1.06) <= width_px) {
            Some(longer) => *lines.last_mut().expect("a longer line was a line") = longer,
            None => lines.push(part.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Station;

    fn layout(scale: Scale, places: &[(results::Place, &str)]) -> Layout {
        let station =
            |(place, label): &(results::Place, &str)| Station { place: *place, label: (*label).to_owned() };
        let stations = places.iter().map(station).collect();
        Layout { title: "idle connections".to_owned(), scale, stations, panels: Vec::new() }
    }

    #[test]
    fn zero_has_a_place_of_its_own_at_the_low_end_of_a_logarithmic_axis() {
        let places = [
            (results::Place::Apart, "0"),
            (results::Place::At(1e3), "1,000"),
            (results::Place::At(1e4), "10,000"),
        ];
        let axis = x_axis(&layout(Scale::Log, &places));
        let at: Vec<f64> = axis.ticks.iter().map(|(place, _)| *place).collect();
        assert!(at[0] < axis.broken_at.unwrap() && axis.broken_at.unwrap() < 3.0);
        assert!((at[1] - 3.0).abs() < 1e-9 && (at[2] - 4.0).abs() < 1e-9);
        assert!(axis.range().0 < at[0]);
    }

    #[test]
    fn names_lie_evenly_and_without_a_break() {
        let places = [(results::Place::Apart, "/a"), (results::Place::Apart, "/b")];
        let axis = x_axis(&layout(Scale::Category, &places));
        assert!((axis.ticks[1].0 - axis.ticks[0].0 - 1.0).abs() < 1e-9 && axis.broken_at.is_none());
    }

    #[test]
    fn a_title_breaks_between_its_parts() {
        let parts = ["requests per connection: short", "path: /bytes/1024"].map(str::to_owned);
        assert_eq!(title_lines(&parts, 1000.0), ["requests per connection: short · path: /bytes/1024"]);
        assert_eq!(title_lines(&parts, 250.0), parts);
    }
}
