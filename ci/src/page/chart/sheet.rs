//! Sheet of a chart with a curve per server: heading, legend, and one panel below them.

use c10k_reports::chart::axis::Axis;
use c10k_reports::chart::canvas::{self, Canvas};
use c10k_reports::chart::heading::Heading;
use c10k_reports::chart::legend::Legend;
use c10k_reports::chart::panel::{ABOVE_PX, BELOW_PX, Frame, Panel, WIDTH_PX};

use super::look;
use crate::block::Arm;

const PANEL_PX: f64 = 260.0;

/// A sheet before its panel is drawn.
pub struct Sheet {
    heading: Heading,
    legend: Legend,
}

impl Sheet {
    /// Lays out a sheet with curves of `arms`.
    pub fn layout(title: &str, note: &str, arms: impl Iterator<Item = Arm>) -> Self {
        let labels = arms.map(|arm| (look::place(arm), look::name(arm).to_owned()));
        Self {
            heading: Heading::layout(title, note, WIDTH_PX),
            legend: Legend::layout(labels, WIDTH_PX),
        }
    }

    /// Draws the sheet with the axes `x` and `y`. `paint` draws the content of the panel.
    pub fn draw(
        &self,
        label: &str,
        (x, y): (Axis, Axis),
        paint: impl FnOnce(&mut Canvas, &Panel),
    ) -> String {
        let top = self.heading.height_px() + self.legend.height_px() + ABOVE_PX;
        let size = (WIDTH_PX as u32, (top + PANEL_PX + BELOW_PX) as u32);
        canvas::draw(size, label, |canvas| {
            self.heading.draw(canvas);
            self.legend.draw(canvas, self.heading.height_px());
            let frame = Frame { left: 72.0, top, right: WIDTH_PX - 24.0, bottom: top + PANEL_PX };
            let panel = Panel::draw(canvas, frame, x, y);
            paint(canvas, &panel);
        })
    }
}
