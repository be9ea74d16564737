//! Horizontal bars, one per subject, with whiskers: the shape that [`super::throughput`] and [`super::cpu_per_request`]
//! share. Names stand beside the bars, so no legend is needed, and any number of subjects fits.

use plotters::style::text_anchor::HPos;

use super::axis::{self, Axis};
use super::canvas::{self, Canvas, Font, text_width_px};
use super::palette::{FAILED, INK, look};
use super::panel::{BELOW_PX, Frame, HEADING_PX, Panel, TEXT, TEXT_PX, WIDTH_PX, heading};
use super::{FLAG, flags_note};
use crate::format;
use crate::results::{CellResult, Results};
use crate::statistics::spread::Spread;

/// Height of the row of one subject, in px.
const ROW_PX: f64 = 32.0;

/// Height of its bar, in px.
const BAR_PX: f64 = 18.0;

/// Room right of the longest bar for the number at its end, in px.
const NUMBER_PX: f64 = 80.0;

/// What the bars show.
pub struct Quantity {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Its value, where there is one.
    pub of: fn(&CellResult) -> Option<Spread>,
}

/// A chart of `quantity` per subject of `workload`; nothing where no subject has one.
pub fn draw(results: &Results, workload: usize, quantity: &Quantity) -> Option<String> {
    let cells: Vec<&CellResult> = results.of_workload(workload).collect();
    let high =
        cells.iter().filter_map(|cell| (quantity.of)(cell)).map(|spread| spread.high).reduce(f64::max)?;
    let title = format!("{}: {}", quantity.name, results.environment.workloads[workload].name);
    let interval = results.interval();
    let subtitle = format!("bar: median, whisker: {interval}{}", flags_note(&cells));
    let rows_px = ROW_PX * cells.len() as f64;
    let size = (WIDTH_PX as u32, (HEADING_PX + rows_px + BELOW_PX) as u32);
    Some(canvas::draw(size, &format!("{title}, in {}", quantity.unit), |canvas| {
        let top = heading(canvas, &title, &subtitle);
        let names = cells.iter().map(|cell| text_width_px(results.subject_name(cell), TEXT_PX));
        let left = 20.0 + names.fold(0.0, f64::max);
        let frame = Frame { left, top, right: WIDTH_PX - NUMBER_PX, bottom: top + rows_px };
        let panel =
            Panel::draw(canvas, frame, Axis::from_zero(quantity.unit, high, axis::number), Axis::bare());
        for (index, cell) in cells.iter().enumerate() {
            let y = top + ROW_PX * (index as f64 + 0.5);
            canvas.text(results.subject_name(cell), (left - 8.0, y), Font { align: HPos::Right, ..TEXT });
            draw_row(canvas, &panel, y, cell, (quantity.of)(cell));
        }
    }))
}

/// The bar of one subject, its whisker and its number; or in their place why there is none.
fn draw_row(canvas: &mut Canvas, panel: &Panel, y: f64, cell: &CellResult, spread: Option<Spread>) {
    let x = |value: f64| panel.at(value, 0.0).0;
    let Some(spread) = spread else {
        let text = cell.why_nothing().unwrap_or("not known");
        return canvas.text(text, (x(0.0) + 6.0, y), Font { color: FAILED, ..TEXT });
    };
    let half = BAR_PX / 2.0;
    canvas.rectangle((x(0.0), y - half), (x(spread.median), y + half), look(cell.subject).color);
    let mut end = x(spread.median);
    if spread.rounds > 1 {
        canvas.whisker((x(spread.low), y), (x(spread.high), y), INK);
        end = end.max(x(spread.high));
    }
    let flag = if cell.has_failed_requests() { FLAG } else { "" };
    canvas.text(&format!("{}{flag}", format::significant(spread.median)), (end + 8.0, y), TEXT);
}
