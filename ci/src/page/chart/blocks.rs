//! Chart: the change of a metric in each block, and below it the spread of the base's own slices in
//! the same block, which is the noise of the machine while both servers were measured.

use c10k_reports::chart::axis::{self, Axis};
use c10k_reports::chart::canvas::{self, Canvas};
use c10k_reports::chart::heading::Heading;
use c10k_reports::chart::palette::INK;
use c10k_reports::chart::panel::{ABOVE_PX, BELOW_PX, Frame, Panel, WIDTH_PX};

use super::super::change::{Change, percent, share};
use super::super::context::Page;
use super::super::words::title;
use super::Drawn;
use super::change_axis::ChangeAxis;
use super::look::{self, COPY, COPY_POINT, MARGIN};
use crate::block::{Arm, CellOfBlock};
use crate::series::Series;
use crate::verdict::Judged;

/// Heights of the panel of changes and of the panel of noise, in px.
const CHANGES_PX: f64 = 190.0;
const NOISE_PX: f64 = 60.0;

/// Largest number of ticks on the axis of blocks.
const TICKS: usize = 12;

/// Half of the width of a bar, as a share of the distance between blocks.
const HALF_BAR: f64 = 0.35;

const CAPTION: &str = "Each block starts both servers afresh and is one independent comparison.";

const CAPTION_OF_NOISE: &str = " Bars: the standard deviation of the base’s own slices in a block, \
                                which is noise of the machine alone.";

/// A metric over the blocks.
struct Blocks<'a> {
    judged: &'a Judged,
    change: Change,
    /// Change of the copy of the base.
    null: Option<Change>,
    /// Spread of the base's slices in each block, as a share; `None` if a block has a single slice
    /// of the base.
    noise: Option<Vec<f64>>,
}

/// Draws the chart of one metric; `None` for differences.
pub fn draw(page: &Page, judged: &Judged) -> Option<Drawn> {
    let key = judged.series.quantity.key();
    let cells = page.cells(&judged.series.workload);
    let blocks = Blocks {
        judged,
        change: Change::of(judged)?,
        null: page.gate.judgement.null_of(judged).and_then(Change::of),
        noise: cells.map(|(_, cell)| spread_of_base(cell, key)).collect(),
    };
    let noise = if blocks.noise.is_some() { CAPTION_OF_NOISE } else { "" };
    Some(Drawn { svg: blocks.draw(), caption: format!("{CAPTION}{noise}") })
}

impl Blocks<'_> {
    fn draw(&self) -> String {
        let heading = self.heading();
        let top = heading.height_px() + ABOVE_PX;
        let noise_px = if self.noise.is_some() { ABOVE_PX + NOISE_PX } else { 0.0 };
        let size = (WIDTH_PX as u32, (top + CHANGES_PX + noise_px + BELOW_PX) as u32);
        canvas::draw(size, &self.label(), |canvas| {
            heading.draw(canvas);
            self.draw_changes(canvas, top);
            if let Some(noise) = &self.noise {
                draw_noise(canvas, top + CHANGES_PX + ABOVE_PX, noise);
            }
        })
    }

    fn heading(&self) -> Heading {
        let Series { quantity, workload, .. } = &self.judged.series;
        let copy = if self.null.is_some() { ", hollow: copy of the base" } else { "" };
        let note = format!(
            "point: candidate against base in a block, line: estimate, grey: within the margin{copy}"
        );
        Heading::layout(&format!("{} by block: {workload}", title(quantity)), &note, WIDTH_PX)
    }

    /// Describes the chart for screen readers.
    fn label(&self) -> String {
        let Series { quantity, workload, .. } = &self.judged.series;
        let blocks: Vec<String> = self.change.blocks.iter().map(|block| percent(*block)).collect();
        let highest = self.noise.iter().flatten().copied().reduce(f64::max);
        let noise = highest
            .map(|highest| format!("; spread of the base’s slices up to {}", share(highest)));
        format!(
            "{} under {workload}, candidate against base, block by block: {}; estimate {}{}",
            title(quantity),
            blocks.join(", "),
            self.change.text(),
            noise.unwrap_or_default()
        )
    }

    fn draw_changes(&self, canvas: &mut Canvas, top: f64) {
        let change = &self.change;
        let y = self.change_axis();
        let x_title = if self.noise.is_some() { "" } else { "block" };
        let x = x_axis(x_title, change.blocks.len());
        let panel = Panel::draw(canvas, frame(top, CHANGES_PX), x, y.axis());
        let (first, last) = ends(change.blocks.len());
        let at = |block: f64, log_ratio: f64| panel.at(block, y.position(log_ratio));
        let margin = change.margin;
        let corners = [at(first, 0.0), at(last, 0.0), at(last, margin), at(first, margin)];
        canvas.polygon(&corners, MARGIN, 0.3);
        canvas.line(at(first, 0.0), at(last, 0.0), INK, 1.5);
        let look = look::of(self.judged.verdict);
        canvas.line(at(first, change.estimate), at(last, change.estimate), look.color, 1.5);
        for (block, log_ratio) in numbered(self.null.as_ref().map_or(&[], |null| &null.blocks)) {
            canvas.hollow_marker(at(block, log_ratio), COPY_POINT, 3.5);
        }
        for (block, log_ratio) in numbered(&change.blocks) {
            canvas.marker(at(block, log_ratio), look, 4.0);
        }
    }

    /// Creates the axis that covers all blocks and the margin.
    fn change_axis(&self) -> ChangeAxis {
        let changes = [&self.change].into_iter().chain(&self.null);
        let blocks = changes.flat_map(|change| &change.blocks).copied();
        let values: Vec<f64> = blocks.chain([self.change.margin]).collect();
        let low = values.iter().copied().fold(0.0, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        ChangeAxis::covering("candidate against base", low, high)
    }
}

fn draw_noise(canvas: &mut Canvas, top: f64, noise: &[f64]) {
    let highest = noise.iter().copied().fold(0.0, f64::max);
    let y = Axis::from_zero("spread of the base’s slices", highest.max(0.01), axis::share);
    let panel = Panel::draw(canvas, frame(top, NOISE_PX), x_axis("block", noise.len()), y);
    for (block, spread) in numbered(noise) {
        canvas.rectangle(panel.at(block - HALF_BAR, spread), panel.at(block + HALF_BAR, 0.0), COPY);
    }
}

fn frame(top: f64, height: f64) -> Frame {
    Frame { left: 72.0, top, right: WIDTH_PX - 20.0, bottom: top + height }
}

/// Creates the axis of block numbers, with as many ticks as fit without touching. Without a title,
/// it has no labels either, because the axis below has them.
fn x_axis(title: &str, blocks: usize) -> Axis {
    let step = blocks.div_ceil(TICKS).max(1);
    let (first, last) = ends(blocks);
    let text = |block: usize| if title.is_empty() { String::new() } else { block.to_string() };
    let ticks = (1..=blocks).step_by(step).map(|block| (block as f64, text(block)));
    // The ends have a mark without a label, so that the axis covers half a block beyond each end.
    let marks = [(first, String::new())].into_iter().chain(ticks).chain([(last, String::new())]);
    Axis::of_marks(title, marks.collect(), None)
}

/// Returns the ends of the axis of blocks.
fn ends(blocks: usize) -> (f64, f64) {
    (0.5, blocks as f64 + 0.5)
}

fn numbered(values: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    (1..).map(f64::from).zip(values.iter().copied())
}

/// Returns the standard deviation of the logarithms of the base's values in a block, which is their
/// spread as a share; `None` with fewer than two values.
fn spread_of_base(cell: &CellOfBlock, key: &str) -> Option<f64> {
    let slices = cell.slices.iter().filter(|slice| slice.arm == Arm::Base);
    let values = slices.filter_map(|slice| slice.metrics.get(key)).filter(|value| **value > 0.0);
    let logs: Vec<f64> = values.map(|value| value.ln()).collect();
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count;
    let squares = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>();
    (logs.len() > 1).then(|| (squares / (count - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Slice;

    #[test]
    fn the_noise_is_that_of_the_base_alone() {
        let slice = |arm, value: f64| Slice {
            pair: 1,
            arm,
            metrics: [("throughput_rps".to_owned(), value)].into(),
            failed_share: 0.0,
            failed_checks: Vec::new(),
        };
        let slices =
            vec![slice(Arm::Base, 100.0), slice(Arm::Base, 100.0), slice(Arm::Candidate, 9.0)];
        let mut cell = CellOfBlock { workload: "w".to_owned(), slices };
        assert_eq!(spread_of_base(&cell, "throughput_rps"), Some(0.0));
        cell.slices[1] = slice(Arm::Base, 102.0);
        let spread = spread_of_base(&cell, "throughput_rps").unwrap();
        assert!((spread - 1.02_f64.ln() / 2_f64.sqrt()).abs() < 1e-12);
        assert_eq!(spread_of_base(&cell, "latency_p50_us"), None);
    }
}
