//! Looks of verdicts and servers: colour, dash and shape, so that no meaning depends on colour
//! alone. The colours are those of Okabe and Ito ("Color Universal Design", 2008).

use c10k_reports::chart::canvas::{Canvas, Place, RGBColor};
use c10k_reports::chart::palette::{self, Look, Marker};

use crate::block::Arm;
use crate::verdict::Verdict;

/// Colour of the background.
pub const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// Colour of changes within the margin.
pub const MARGIN: RGBColor = RGBColor(0x80, 0x80, 0x80);

/// Colour of the copy of the base.
pub const COPY: RGBColor = palette::MUTED;

/// Look of the points of the copy of the base.
pub const COPY_POINT: Look = Look { color: COPY, dash: 0, marker: Marker::Triangle };

/// Half of the size of a point, in px.
pub const MARKER_PX: f64 = 5.0;

/// Returns the place of a server among the looks of subjects.
pub fn place(arm: Arm) -> usize {
    match arm {
        Arm::Base => 0,
        Arm::Candidate => 1,
        Arm::Null => 2,
    }
}

/// Returns the look of a server's curves.
pub fn of_arm(arm: Arm) -> Look {
    palette::look(place(arm))
}

/// Returns the name of a server in charts.
pub fn name(arm: Arm) -> &'static str {
    match arm {
        Arm::Base => "base",
        Arm::Candidate => "candidate",
        Arm::Null => "copy of the base",
    }
}

/// Returns the look of a verdict, with the shape that [`words::sign`](super::super::words::sign)
/// prints.
pub fn of(verdict: Verdict) -> Look {
    let (color, marker) = match verdict {
        Verdict::Regressed => (RGBColor(0xd5, 0x5e, 0x00), Marker::Square),
        Verdict::Changed => (RGBColor(0xe6, 0x9f, 0x00), Marker::Diamond),
        Verdict::Improved => (RGBColor(0x00, 0x9e, 0x73), Marker::Triangle),
        Verdict::NotRegressed => (RGBColor(0x00, 0x72, 0xb2), Marker::Circle),
        Verdict::Undecided => (RGBColor(0x22, 0x22, 0x22), Marker::Circle),
    };
    Look { color, dash: 0, marker }
}

/// Draws the point of a verdict; an undecided one is hollow.
pub fn draw(canvas: &mut Canvas, place: Place, verdict: Verdict) {
    if verdict == Verdict::Undecided {
        canvas.hollow_marker(place, of(verdict), MARKER_PX);
    } else {
        canvas.marker(place, of(verdict), MARKER_PX);
    }
}
