//! Chart: a forest plot of a workload, each metric with its change, its interval and its margin.

use c10k_reports::chart::axis::Axis;
use c10k_reports::chart::canvas::{self, Canvas, Font, HPos};
use c10k_reports::chart::heading::Heading;
use c10k_reports::chart::palette::INK;
use c10k_reports::chart::panel::{BELOW_PX, Frame, NOTE, Panel, TEXT, WIDTH_PX};

use super::super::change::Change;
use super::super::context::Page;
use super::super::words::title;
use super::Drawn;
use super::change_axis::ChangeAxis;
use super::look::{self, COPY, COPY_POINT, MARGIN, PAPER};
use crate::verdict::{Judged, RULED_OUT};

/// Height of the text of a row, in px.
const TEXT_ROW_PX: f64 = 22.0;

/// Height of a point with its interval, in px.
const STRIP_PX: f64 = 18.0;

/// Space between rows, in px.
const BETWEEN_PX: f64 = 6.0;

/// Left and right edge of the axis, in px.
const LEFT_PX: f64 = 16.0;
const RIGHT_PX: f64 = WIDTH_PX - 16.0;

/// A metric of the plot.
struct Row<'a> {
    judged: &'a Judged,
    change: Change,
    null: Option<Change>,
}

/// Draws the forest plot of `metrics`; `None` without metrics.
pub fn draw(page: &Page, metrics: &[&Judged], workload: &str) -> Option<Drawn> {
    let rows: Vec<Row> = metrics.iter().filter_map(|judged| Row::of(page, judged)).collect();
    let ranges = rows.iter().map(Row::range);
    let (low, high) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    let axis = ChangeAxis::covering("change from base to candidate", low, high);
    let copy = if page.gate.plan.null { ", thin: copy of the base" } else { "" };
    let note =
        format!("point: estimate, whisker: 95 % interval, dark grey: within the margin{copy}");
    let heading = Heading::layout(&format!("Change of each metric: {workload}"), &note, WIDTH_PX);
    let top = heading.height_px();
    let bottom = top + rows.iter().map(Row::height_px).sum::<f64>();
    let svg = canvas::draw(
        (WIDTH_PX as u32, (bottom + BELOW_PX) as u32),
        &label(&rows, workload),
        |canvas| {
            heading.draw(canvas);
            let frame = Frame { left: LEFT_PX, top, right: RIGHT_PX, bottom };
            let panel = Panel::draw(canvas, frame, axis.axis(), Axis::bare());
            let x = |log_ratio: f64| panel.at(axis.position(log_ratio), 0.0).0;
            let mut top = top;
            for row in &rows {
                row.draw(canvas, &x, top);
                top += row.height_px();
            }
        },
    );
    Some(Drawn { svg, caption: caption() })
}

fn caption() -> String {
    format!(
        "Left of 0 a number became smaller, right of it larger; the grey side is the worse one. Dark \
         grey: within the margin. Light grey: up to {RULED_OUT} margins, where a regression is \
         neither shown nor ruled out. The axis is logarithmic beyond about 1 %. Intervals are of one \
         metric alone; verdicts allow for all of them together."
    )
}

/// Describes the chart for screen readers.
fn label(rows: &[Row], workload: &str) -> String {
    let told: Vec<String> = rows
        .iter()
        .map(|row| {
            let title = title(&row.judged.series.quantity);
            let copy = row.null.as_ref().map(|null| format!(", copy of the base {}", null.text()));
            format!(
                "{title} {}, {}{}",
                row.change.text(),
                row.judged.verdict,
                copy.unwrap_or_default()
            )
        })
        .collect();
    format!("Change of each metric from base to candidate under {workload}: {}", told.join("; "))
}

impl<'a> Row<'a> {
    fn of(page: &Page, judged: &'a Judged) -> Option<Self> {
        let null = page.gate.judgement.null_of(judged).and_then(Change::of);
        Some(Self { judged, change: Change::of(judged)?, null })
    }

    /// Returns the lowest and the highest value that is drawn, including zero and the margins.
    fn range(&self) -> (f64, f64) {
        let margins = RULED_OUT * self.change.margin;
        let ranges = [&self.change].into_iter().chain(&self.null).map(Change::range);
        let all = ranges.chain([(0.0, 0.0), (margins, margins)]);
        all.fold((0.0, 0.0), |all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    fn height_px(&self) -> f64 {
        let strips = if self.null.is_some() { 2.0 } else { 1.0 };
        TEXT_ROW_PX + strips * STRIP_PX + BETWEEN_PX
    }

    /// Draws the row below `top`. `x` returns the place of a logarithm of a ratio.
    fn draw(&self, canvas: &mut Canvas, x: &impl Fn(f64) -> f64, top: f64) {
        self.draw_text(canvas, top);
        let (top, bottom) = (top + TEXT_ROW_PX, top + self.height_px() - BETWEEN_PX);
        let margin = self.change.margin;
        for (from, to, opacity) in [(0.0, margin, 0.55), (margin, RULED_OUT * margin, 0.2)] {
            let (from, to) = (x(from), x(to));
            let corners = [(from, top), (to, top), (to, bottom), (from, bottom)];
            canvas.polygon(&corners, MARGIN, opacity);
        }
        canvas.line((x(0.0), top - 2.0), (x(0.0), bottom + 2.0), INK, 1.5);
        let y = top + STRIP_PX / 2.0;
        if let Some((low, high)) = self.change.interval {
            canvas.whisker((x(low), y), (x(high), y), INK);
        }
        look::draw(canvas, (x(self.change.estimate), y), self.judged.verdict);
        if let Some(null) = &self.null {
            draw_copy(canvas, x, y + STRIP_PX, null);
        }
    }

    fn draw_text(&self, canvas: &mut Canvas, top: f64) {
        // Covers the grid, whose lines would run through the text.
        canvas.rectangle((LEFT_PX - 1.0, top), (RIGHT_PX + 1.0, top + TEXT_ROW_PX), PAPER);
        let y = top + TEXT_ROW_PX / 2.0;
        canvas.text(
            &title(&self.judged.series.quantity),
            (LEFT_PX, y),
            Font { bold: true, ..TEXT },
        );
        let text = format!("{}: {}", self.judged.verdict, self.change.text());
        canvas.text(&text, (RIGHT_PX, y), Font { align: HPos::Right, ..NOTE });
    }
}

/// Draws the interval of the copy of the base, which shows how far apart two identical servers are.
fn draw_copy(canvas: &mut Canvas, x: &impl Fn(f64) -> f64, y: f64, null: &Change) {
    if let Some((low, high)) = null.interval {
        canvas.line((x(low), y), (x(high), y), COPY, 1.0);
    }
    canvas.hollow_marker((x(null.estimate), y), COPY_POINT, 4.0);
}
