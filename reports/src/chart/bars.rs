//! Chart: a metric as horizontal bars, one per subject, with whiskers. Names stand beside the bars,
//! so no legend is needed, and any number of subjects fits.

use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::canvas::{self, Canvas, Font, text_width_px};
use super::heading::Heading;
use super::palette::{FAILED, INK, MUTED, look};
use super::panel::{BELOW_PX, Frame, Panel, TEXT, TEXT_PX, WIDTH_PX};
use super::quantity::Quantity;
use super::reading::{bounds_note, doubts_note, signed_name};
use crate::metric::Format;
use crate::results::{CellResult, Results};
use crate::statistics::spread::Value;

/// Height of the row of one subject, in px.
const ROW_PX: f64 = 32.0;

/// Height of the bar of one subject, in px.
const BAR_PX: f64 = 18.0;

/// Space right of the longest bar for the number at its end, in px.
const NUMBER_PX: f64 = 106.0;

/// Length of the tip of a bar that shows only a lower bound, in px.
const POINT_PX: f64 = 16.0;

/// Draws a chart of `quantity` per subject of `workload`; `None` if no subject has a value.
pub fn draw(results: &Results, workload: usize, quantity: &Quantity) -> Option<String> {
    let cells: Vec<&CellResult> = results.of_workload(workload).collect();
    let metric = quantity.metric;
    let highs = cells.iter().filter_map(|cell| cell.value(metric)).map(|value| value.spread.high);
    let x = quantity.axis_from_zero(highs.reduce(f64::max)?);
    let title = format!("{}: {}", metric.title, results.environment.workloads[workload].name);
    let bounds = bounds_note(&cells, metric, "≥");
    let note =
        format!("bar: median, whisker: {}{bounds}{}", results.interval(), doubts_note(&cells));
    let heading = Heading::layout(&title, &note, WIDTH_PX);
    let top = heading.height_px();
    let rows_px = ROW_PX * cells.len() as f64;
    let size = (WIDTH_PX as u32, (top + rows_px + BELOW_PX) as u32);
    Some(canvas::draw(size, &label(results, &cells, &title, quantity), |canvas| {
        heading.draw(canvas);
        let names = cells.iter().map(|cell| text_width_px(&signed_name(results, cell), TEXT_PX));
        let left = 20.0 + names.fold(0.0, f64::max);
        let frame = Frame { left, top, right: WIDTH_PX - NUMBER_PX, bottom: top + rows_px };
        let panel = Panel::draw(canvas, frame, x, Axis::bare());
        for (index, cell) in cells.iter().enumerate() {
            let y = top + ROW_PX * (index as f64 + 0.5);
            canvas.text(
                &signed_name(results, cell),
                (left - 8.0, y),
                Font { align: HPos::Right, ..font(cell) },
            );
            draw_row(canvas, &panel, y, cell, quantity);
        }
    }))
}

/// Describes the chart for a screen reader: its title, its unit, and the numbers.
fn label(results: &Results, cells: &[&CellResult], title: &str, quantity: &Quantity) -> String {
    let number = |cell: &&CellResult| {
        let value = cell.value(quantity.metric);
        let number = value.map_or_else(|| "none".to_owned(), |value| number(value, quantity));
        format!("{} {number}", signed_name(results, cell))
    };
    let numbers: Vec<String> = cells.iter().map(number).collect();
    format!("{title}, in {}: {}", quantity.metric.unit, numbers.join("; "))
}

/// Returns the font for a cell, which is muted if the numbers are in doubt.
fn font(cell: &CellResult) -> Font {
    if cell.doubts().is_empty() { TEXT } else { Font { color: MUTED, ..TEXT } }
}

/// Formats the number at the end of a bar.
fn number(value: Value, quantity: &Quantity) -> String {
    let at_least = if value.at_least { "≥\u{a0}" } else { "" };
    let format = quantity.metric.format;
    // A percentage or a time means nothing without its unit; other units are shown below the axis.
    let text = match format {
        Format::Bytes => Format::Number.text(quantity.on_axis(value.spread.median)),
        _ => format.text(value.spread.median),
    };
    format!("{at_least}{text}")
}

/// Draws the bar of one subject with its whisker and its number, or the reason why there is none.
fn draw_row(canvas: &mut Canvas, panel: &Panel, y: f64, cell: &CellResult, quantity: &Quantity) {
    let x = |value: f64| panel.at(quantity.on_axis(value), 0.0).0;
    let Some(value) = cell.value(quantity.metric) else {
        let text = cell.why_nothing().unwrap_or("not known");
        return canvas.text(text, (x(0.0) + 6.0, y), Font { color: FAILED, ..TEXT });
    };
    let spread = value.spread;
    let half = BAR_PX / 2.0;
    let mut end = x(spread.median);
    let color = look(cell.subject).color;
    if cell.doubts().is_empty() {
        canvas.rectangle((x(0.0), y - half), (end, y + half), color);
    } else {
        canvas.hollow_rectangle((x(0.0), y - half), (end, y + half), color);
    }
    if value.at_least {
        canvas.polygon(&[(end, y - half), (end + POINT_PX, y), (end, y + half)], color, 0.45);
        end += POINT_PX;
    }
    if spread.rounds > 1 {
        canvas.whisker((x(spread.low), y), (x(spread.high), y), INK);
        end = end.max(x(spread.high));
    }
    canvas.text(
        &format!("{}{}", number(value, quantity), cell.signs()),
        (end + 8.0, y),
        font(cell),
    );
}
