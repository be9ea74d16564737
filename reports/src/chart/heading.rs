//! The heading of a chart: its title, and below it a note that explains the chart, in as many lines
//! as they need.

use super::canvas::{Canvas, Font, wrap};
use super::panel::{NOTE, TEXT, TEXT_PX, TITLE_LEFT_PX};

const TITLE_PX: f64 = 15.0;

const LINE_PX: f64 = 19.0;

/// Space above the first line and below the last, in px.
const ABOVE_PX: f64 = 10.0;
const BELOW_PX: f64 = 6.0;

/// A heading in lines.
pub struct Heading {
    title: Vec<String>,
    notes: Vec<String>,
}

impl Heading {
    /// Lays out `title` and `note` in a chart of `width_px`.
    pub fn layout(title: &str, note: &str, width_px: f64) -> Self {
        let width_px = width_px - 2.0 * TITLE_LEFT_PX;
        // Bold text is wider than the estimate, which is for ordinary text.
        Self { title: wrap(title, width_px, TITLE_PX * 1.06), notes: wrap(note, width_px, TEXT_PX) }
    }

    /// Returns the height of the heading, in px.
    pub fn height_px(&self) -> f64 {
        ABOVE_PX + LINE_PX * (self.title.len() + self.notes.len()) as f64 + BELOW_PX
    }

    /// Draws the heading at the top of the chart.
    pub fn draw(&self, canvas: &mut Canvas) {
        let title = Font { size_px: TITLE_PX, bold: true, ..TEXT };
        let lines = self.title.iter().map(|line| (line, title));
        let lines = lines.chain(self.notes.iter().map(|line| (line, NOTE)));
        for (index, (line, font)) in lines.enumerate() {
            let y = ABOVE_PX + LINE_PX * (index as f64 + 0.5);
            canvas.text(line, (TITLE_LEFT_PX, y), font);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::canvas::text_width_px;

    #[test]
    fn a_long_note_takes_more_lines_and_none_is_too_wide() {
        let note = "bar: median, whisker: 95 % confidence interval of the median over 10 rounds, "
            .repeat(3);
        let heading = Heading::layout("Throughput: short-1", &note, 560.0);
        assert!(heading.notes.len() > 2);
        assert!(
            heading.notes.iter().all(|line| text_width_px(line, TEXT_PX) <= 560.0 - TITLE_LEFT_PX)
        );
        assert!(heading.height_px() > Heading::layout("Throughput", "", 560.0).height_px());
    }
}
