//! A panel: two axes, their grid and ticks, and the mapping from data to places on the canvas.

use plotters::coord::CoordTranslate as _;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::WHITE;
use plotters::style::text_anchor::HPos;

use super::axis::Axis;
use super::canvas::{Canvas, Font, Place, text_width_px};
use super::palette::{GRID, INK, MUTED};

/// Width of a chart of one workload, in px.
pub const WIDTH_PX: f64 = 560.0;

/// Size of ordinary text in a chart, in px.
pub const TEXT_PX: f64 = 13.0;

/// Space that a panel needs below its frame for ticks and the title of its x axis, in px.
pub const BELOW_PX: f64 = 50.0;

/// Space that a panel needs above its frame for the title of its y axis, in px.
pub const ABOVE_PX: f64 = 30.0;

/// Ordinary text.
pub const TEXT: Font = Font { size_px: TEXT_PX, color: INK, bold: false, align: HPos::Left };

/// Less important text.
pub const NOTE: Font = Font { size_px: TEXT_PX, color: MUTED, bold: false, align: HPos::Left };

/// A rectangle in px.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Left edge.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Lower edge.
    pub bottom: f64,
}

/// Two axes in a frame.
pub struct Panel {
    x: Axis,
    y: Axis,
    coordinates: Cartesian2d<RangedCoordf64, RangedCoordf64>,
}

/// Coordinates of `plotters` per px. It maps to whole numbers, so hundredths of a px are used.
const HUNDREDTHS: f64 = 100.0;

impl Panel {
    /// Draws a panel with the axes `x` and `y` in `frame`, with its grid, ticks and titles.
    pub fn draw(canvas: &mut Canvas, frame: Frame, x: Axis, y: Axis) -> Self {
        let whole = |px: f64| (px * HUNDREDTHS).round() as i32;
        let across = whole(frame.left)..whole(frame.right);
        // From the bottom up, as y grows.
        let up = whole(frame.bottom)..whole(frame.top);
        let ((x0, x1), (y0, y1)) = (x.ends(), y.ends());
        let panel = Self { coordinates: Cartesian2d::new(x0..x1, y0..y1, (across, up)), x, y };
        panel.draw_x(canvas, frame);
        panel.draw_y(canvas, frame);
        canvas.line((frame.left, frame.bottom), (frame.right, frame.bottom), INK, 1.0);
        panel.draw_break(canvas, frame);
        panel
    }

    /// Returns the place of a point, given its value on each axis.
    pub fn at(&self, x: f64, y: f64) -> Place {
        let (x, y) = self.coordinates.translate(&(self.x.position(x), self.y.position(y)));
        (f64::from(x) / HUNDREDTHS, f64::from(y) / HUNDREDTHS)
    }

    fn draw_x(&self, canvas: &mut Canvas, frame: Frame) {
        let font = Font { align: HPos::Center, ..NOTE };
        let y = self.y.range().0;
        let mut free_from = f64::NEG_INFINITY;
        for (value, text) in &self.x.ticks {
            let (x, _) = self.at(*value, y);
            canvas.line((x, frame.top), (x, frame.bottom), GRID, 1.0);
            // A label that would overlap the one before it is left out; its line stays.
            let half_px = text_width_px(text, TEXT_PX) / 2.0;
            if x - half_px >= free_from {
                canvas.text(text, (x, frame.bottom + 13.0), font);
                free_from = x + half_px + 4.0;
            }
        }
        let middle = f64::midpoint(frame.left, frame.right);
        canvas.text(&self.x.title, (middle, frame.bottom + 34.0), font);
    }

    /// Draws two strokes across the x axis at the break of its scale.
    fn draw_break(&self, canvas: &mut Canvas, frame: Frame) {
        let Some(value) = self.x.broken_at else { return };
        let (x, _) = self.at(value, self.y.range().0);
        let y = frame.bottom;
        canvas.rectangle((x - 3.0, y - 2.0), (x + 3.0, y + 2.0), WHITE);
        for x in [x - 3.0, x + 3.0] {
            canvas.line((x - 2.5, y + 6.0), (x + 2.5, y - 6.0), INK, 1.2);
        }
    }

    fn draw_y(&self, canvas: &mut Canvas, frame: Frame) {
        let x = self.x.range().0;
        for (value, text) in &self.y.ticks {
            let (_, y) = self.at(x, *value);
            canvas.line((frame.left, y), (frame.right, y), GRID, 1.0);
            canvas.text(text, (frame.left - 7.0, y), Font { align: HPos::Right, ..NOTE });
        }
        if self.y.title.is_empty() {
            return;
        }
        // The title is above the frame and not rotated, so that it is easy to read.
        canvas.text(&self.y.title, (TITLE_LEFT_PX.max(frame.left - 60.0), frame.top - 18.0), NOTE);
    }
}

/// Left edge of titles, in px.
pub const TITLE_LEFT_PX: f64 = 12.0;
