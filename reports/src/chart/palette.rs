//! Looks of the subjects: colour, dash and marker by the subject's place in the suite, the same in
//! every chart of a run.
//!
//! Colours are those of Okabe and Ito ("Color Universal Design", 2008), which all kinds of colour
//! vision can distinguish; yellow is left out, since it is too faint on white. Colours, dashes and
//! markers cycle with lengths that share no factor, so 7 × 5 × 6 = 210 subjects look different.
//! Neighbours differ in all three, so they also differ in grey print.

use plotters::style::RGBColor;

/// Text and axes.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);

/// Less important text.
pub const MUTED: RGBColor = RGBColor(0x59, 0x59, 0x59);

/// Lines of the grid.
pub const GRID: RGBColor = RGBColor(0xe2, 0xe2, 0xe2);

/// Failures.
pub const FAILED: RGBColor = RGBColor(0xb0, 0x00, 0x20);

/// Dashes as lengths in px, drawn and skipped in turn; the first entry is a solid line.
pub const DASHES: [&[u32]; 5] = [&[], &[8, 3], &[2, 3], &[9, 3, 2, 3], &[14, 4]];

const COLORS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2), // blue
    RGBColor(0xd5, 0x5e, 0x00), // vermilion
    RGBColor(0x00, 0x9e, 0x73), // bluish green
    RGBColor(0xcc, 0x79, 0xa7), // reddish purple
    RGBColor(0x00, 0x00, 0x00), // black
    RGBColor(0xe6, 0x9f, 0x00), // orange
    RGBColor(0x56, 0xb4, 0xe9), // sky blue
];

const MARKERS: [Marker; 6] = [
    Marker::Circle,
    Marker::Square,
    Marker::Triangle,
    Marker::Diamond,
    Marker::TriangleDown,
    Marker::Cross,
];

/// Look of one subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Colour of its lines, bars and markers.
    pub color: RGBColor,
    /// Index into [`DASHES`].
    pub dash: usize,
    /// Shape of its points.
    pub marker: Marker,
}

/// Shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// ●
    Circle,
    /// ■
    Square,
    /// ▲
    Triangle,
    /// ◆
    Diamond,
    /// ▼
    TriangleDown,
    /// ✕
    Cross,
}

/// Returns the look of the subject at `index` in the suite.
pub fn look(index: usize) -> Look {
    Look {
        color: COLORS[index % COLORS.len()],
        dash: index % DASHES.len(),
        marker: MARKERS[index % MARKERS.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_subjects_look_different() {
        let looks: Vec<Look> = (0..210).map(look).collect();
        for (index, one) in looks.iter().enumerate() {
            assert!(!looks[..index].contains(one), "subject {index} looks like an earlier one");
        }
    }
}
