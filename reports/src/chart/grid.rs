//! A grid of panels, each with its title above.

use super::canvas::{Canvas, Font, text_width_px};
use super::panel::{ABOVE_PX, BELOW_PX, Frame, TEXT, TEXT_PX, TITLE_LEFT_PX};

/// Number of panels in a row: two fit side by side.
const PANELS_PER_ROW: usize = 2;

const PANEL_PX: f64 = 300.0;

/// Height of a line of a panel's title, in px.
const TITLE_LINE_PX: f64 = 19.0;

/// Space left of a panel for its ticks, and right of it, in px.
const LEFT_PX: f64 = 74.0;
const RIGHT_PX: f64 = 24.0;

/// Places of panels below the heading of a chart.
pub struct Grid {
    /// Title of each panel, in lines.
    titles: Vec<Vec<String>>,
    columns: usize,
    column_px: f64,
    /// Height of a title, the same for all panels, so that those of a row are level.
    title_px: f64,
    top_px: f64,
}

impl Grid {
    /// Lays out panels with `titles`, each in parts, below `top_px` in a chart of `width_px`.
    pub fn layout<'a>(
        titles: impl Iterator<Item = &'a [String]>,
        top_px: f64,
        width_px: f64,
    ) -> Self {
        let titles: Vec<&[String]> = titles.collect();
        let columns = titles.len().clamp(1, PANELS_PER_ROW);
        let column_px = width_px / columns as f64;
        let titles: Vec<Vec<String>> =
            titles.iter().map(|parts| title_lines(parts, column_px)).collect();
        let lines = titles.iter().map(Vec::len).max().unwrap_or(0);
        let title_px = TITLE_LINE_PX * lines as f64 + 7.0;
        Self { titles, columns, column_px, title_px, top_px }
    }

    /// Returns the lower edge of the last row, in px.
    pub fn bottom_px(&self) -> f64 {
        self.top_px + self.row_px() * self.titles.len().div_ceil(self.columns) as f64
    }

    /// Draws the title of the panel at `index` and returns the frame for its axes.
    pub fn draw_title(&self, canvas: &mut Canvas, index: usize) -> Frame {
        let left = self.column_px * (index % self.columns) as f64;
        let top = self.top_px + self.row_px() * (index / self.columns) as f64;
        let bold = Font { bold: true, ..TEXT };
        for (line, text) in self.titles[index].iter().enumerate() {
            let y = top + 14.0 + TITLE_LINE_PX * line as f64;
            canvas.text(text, (left + TITLE_LEFT_PX, y), bold);
        }
        let top = top + self.title_px + ABOVE_PX;
        let right = left + self.column_px - RIGHT_PX;
        Frame { left: left + LEFT_PX, top, right, bottom: top + PANEL_PX }
    }

    fn row_px(&self) -> f64 {
        self.title_px + ABOVE_PX + PANEL_PX + BELOW_PX
    }
}

/// Arranges the parts of a panel's title in lines that fit, with breaks only between parts.
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

    #[test]
    fn a_title_breaks_between_its_parts() {
        let parts = ["requests per connection: short", "path: /bytes/1024"].map(str::to_owned);
        assert_eq!(
            title_lines(&parts, 1000.0),
            ["requests per connection: short · path: /bytes/1024"]
        );
        assert_eq!(title_lines(&parts, 250.0), parts);
    }
}
