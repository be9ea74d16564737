//! The legend of a chart with curves. It is above the panel, in rows, so that it never covers data,
//! for any number of subjects.

use super::canvas::{Canvas, text_width_px};
use super::palette::look;
use super::panel::{TEXT, TEXT_PX, TITLE_LEFT_PX};

const ROW_PX: f64 = 21.0;

/// Length of the piece of curve before a label, in px: enough to show a whole dash.
const SAMPLE_PX: f64 = 30.0;

/// Places of the subjects' labels in a chart.
pub struct Legend {
    entries: Vec<Entry>,
    height_px: f64,
}

struct Entry {
    subject: usize,
    label: String,
    left_px: f64,
    top_px: f64,
}

impl Legend {
    /// Lays out `labels` (index of the subject, text) in rows no wider than `width_px`.
    pub fn layout(labels: impl Iterator<Item = (usize, String)>, width_px: f64) -> Self {
        let (mut left_px, mut top_px) = (TITLE_LEFT_PX, 0.0);
        let mut entries = Vec::new();
        for (subject, label) in labels {
            let entry_px = SAMPLE_PX + 7.0 + text_width_px(&label, TEXT_PX) + 14.0;
            if left_px > TITLE_LEFT_PX && left_px + entry_px > width_px {
                (left_px, top_px) = (TITLE_LEFT_PX, top_px + ROW_PX);
            }
            entries.push(Entry { subject, label, left_px, top_px });
            left_px += entry_px;
        }
        Self { entries, height_px: top_px + ROW_PX }
    }

    /// Returns the height of the legend, in px.
    pub fn height_px(&self) -> f64 {
        self.height_px
    }

    /// Draws the legend below `top_px`.
    pub fn draw(&self, canvas: &mut Canvas, top_px: f64) {
        for entry in &self.entries {
            let look = look(entry.subject);
            let y = top_px + entry.top_px + ROW_PX / 2.0;
            let right = entry.left_px + SAMPLE_PX;
            canvas.curve(&[(entry.left_px, y), (right, y)], look, 1.0);
            canvas.marker((f64::midpoint(entry.left_px, right), y), look, 4.0);
            canvas.text(&entry.label, (right + 7.0, y), TEXT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_within_the_width_and_apart() {
        let labels = (0..25).map(|index| (index, format!("a model of number {index}")));
        let legend = Legend::layout(labels, 560.0);
        let mut last = (0.0, 0.0);
        for entry in &legend.entries {
            let right = entry.left_px + SAMPLE_PX + 7.0 + text_width_px(&entry.label, TEXT_PX);
            assert!(right <= 560.0, "{} ends at {right}", entry.label);
            assert!(entry.top_px > last.1 || entry.left_px >= last.0, "{} overlaps", entry.label);
            last = (right, entry.top_px);
        }
        assert!(legend.height_px() > 5.0 * ROW_PX);
    }
}
