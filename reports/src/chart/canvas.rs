//! Canvas that a chart is drawn on: `plotters`' SVG backend, with fractions of a px and with
//! features that the backend lacks.
//!
//! The backend has only whole coordinates, and no dashes, titles or scaling. So charts are drawn
//! ten times too large and scaled back by the `viewBox`, and the text of the SVG is amended at the
//! end: see `finish`.

use askama::Template;
use plotters::backend::DrawingBackend as _;
use plotters::prelude::{
    FontFamily, FontStyle, FontTransform, RGBAColor, SVGBackend, ShapeStyle, TextStyle, WHITE,
};
use plotters::style::text_anchor::{Pos, VPos};
use plotters::style::{Color as _, FontDesc};

use super::palette::{DASHES, Look, Marker};

pub use plotters::style::RGBColor;
pub use plotters::style::text_anchor::HPos;

/// A place in px, from the top left.
pub type Place = (f64, f64);

/// Coordinates of the backend per px.
const SCALE: f64 = 10.0;

/// Width of the line of a curve, in coordinates of the backend. A curve with dash `d` is drawn `d`
/// coordinates wider, a tenth of a px each, so that [`finish`] can recognize its dash.
const CURVE_WIDTH: u32 = 20;

/// Reason why the backend's errors cannot occur: they are all about files, and drawing into a
/// string touches no file.
const CANNOT_FAIL: &str = "drawing into a string cannot fail";

/// Canvas of a chart.
pub struct Canvas<'a> {
    backend: SVGBackend<'a>,
}

/// Look of a text, and its horizontal alignment at its place. Vertically, the middle of the text is
/// at its place.
#[derive(Clone, Copy)]
pub struct Font {
    /// Size in px.
    pub size_px: f64,
    /// Colour.
    pub color: RGBColor,
    /// True if the text is bold.
    pub bold: bool,
    /// Part of the text that is at its place: the left end, the centre or the right end.
    pub align: HPos,
}

/// Draws a chart of `size_px` (width, height), which `label` describes to a screen reader.
pub fn draw(size_px: (u32, u32), label: &str, paint: impl FnOnce(&mut Canvas)) -> String {
    let mut svg = String::new();
    let size = (size_px.0 * SCALE as u32, size_px.1 * SCALE as u32);
    let mut canvas = Canvas { backend: SVGBackend::with_string(&mut svg, size) };
    canvas.rectangle((0.0, 0.0), (size_px.0.into(), size_px.1.into()), WHITE);
    paint(&mut canvas);
    canvas.backend.present().expect(CANNOT_FAIL);
    drop(canvas);
    finish(&svg, size_px, label)
}

/// Estimates the width of `text` in px. The reader's font is not known, so the estimate is rather
/// too large.
pub fn text_width_px(text: &str, size_px: f64) -> f64 {
    let width_em = |character: char| match character {
        'i' | 'j' | 'l' | '.' | ',' | ' ' | '\u{a0}' | '|' | '\'' | ':' => 0.34,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.92,
        'A'..='Z' => 0.7,
        _ => 0.58,
    };
    text.chars().map(width_em).sum::<f64>() * size_px
}

/// Breaks `text` at spaces into lines no wider than `width_px`; a word that is wider stays whole.
pub fn wrap(text: &str, width_px: f64, size_px: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if text_width_px(&format!("{line} {word}"), size_px) <= width_px => {
                *line = format!("{line} {word}");
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

impl Canvas<'_> {
    /// Draws a straight line, `width_px` wide.
    pub fn line(&mut self, from: Place, to: Place, color: RGBColor, width_px: f64) {
        self.path(&[from, to], color.to_rgba(), (width_px * SCALE) as u32);
    }

    /// Draws the curve of a subject with an `opacity` from 0 to 1.
    pub fn curve(&mut self, places: &[Place], look: Look, opacity: f64) {
        self.path(places, look.color.mix(opacity), CURVE_WIDTH + look.dash as u32);
    }

    fn path(&mut self, places: &[Place], color: RGBAColor, width: u32) {
        let style = ShapeStyle { color, filled: false, stroke_width: width };
        self.backend
            .draw_path(places.iter().map(|&place| units(place)), &style)
            .expect(CANNOT_FAIL);
    }

    /// Draws a filled rectangle.
    pub fn rectangle(&mut self, top_left: Place, bottom_right: Place, color: RGBColor) {
        self.backend
            .draw_rect(units(top_left), units(bottom_right), &color.filled(), true)
            .expect(CANNOT_FAIL);
    }

    /// Draws a filled polygon with an `opacity` from 0 to 1.
    pub fn polygon(&mut self, places: &[Place], color: RGBColor, opacity: f64) {
        let style = color.mix(opacity).filled();
        self.backend
            .fill_polygon(places.iter().map(|&place| units(place)), &style)
            .expect(CANNOT_FAIL);
    }

    /// Draws a point of a subject, `radius_px` from its middle to its edge.
    pub fn marker(&mut self, (x, y): Place, look: Look, radius_px: f64) {
        let r = radius_px;
        let corners: &[Place] = match look.marker {
            Marker::Circle => {
                let radius = (r * SCALE) as u32;
                return self
                    .backend
                    .draw_circle(units((x, y)), radius, &look.color.filled(), true)
                    .expect(CANNOT_FAIL);
            }
            Marker::Cross => {
                self.line((x - r, y - r), (x + r, y + r), look.color, 2.5);
                return self.line((x - r, y + r), (x + r, y - r), look.color, 2.5);
            }
            Marker::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Marker::Triangle => &[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
            Marker::Diamond => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
            Marker::TriangleDown => &[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)],
        };
        let places: Vec<Place> = corners.iter().map(|(dx, dy)| (x + dx * r, y + dy * r)).collect();
        self.polygon(&places, look.color, 1.0);
    }

    /// Draws a hollow point of a subject, for numbers that are in doubt.
    pub fn hollow_marker(&mut self, place: Place, look: Look, radius_px: f64) {
        // A cross has no inside, so a circle replaces it.
        let marker = if look.marker == Marker::Cross { Marker::Circle } else { look.marker };
        self.marker(place, Look { marker, ..look }, radius_px);
        self.marker(place, Look { marker, color: WHITE, ..look }, radius_px * 0.6);
    }

    /// Draws an arrow up from a place, `length_px` long: the true value may be higher.
    pub fn arrow_up(&mut self, (x, y): Place, color: RGBColor, length_px: f64) {
        const HEAD_PX: f64 = 4.0;
        let tip = y - length_px;
        self.line((x, y), (x, tip), color, 1.5);
        self.polygon(
            &[(x, tip - HEAD_PX), (x + HEAD_PX, tip + 2.0), (x - HEAD_PX, tip + 2.0)],
            color,
            1.0,
        );
    }

    /// Draws a hollow rectangle: its edge, and a light shade inside.
    pub fn hollow_rectangle(
        &mut self,
        (left, top): Place,
        (right, bottom): Place,
        color: RGBColor,
    ) {
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
        self.polygon(&corners, color, 0.15);
        for (index, corner) in corners.into_iter().enumerate() {
            self.line(corner, corners[(index + 1) % corners.len()], color, 1.0);
        }
    }

    /// Draws a whisker, which shows the spread of rounds: a horizontal or vertical line, 1.5 px
    /// wide, with a stroke across each end.
    pub fn whisker(&mut self, from: Place, to: Place, color: RGBColor) {
        const HALF_STROKE_PX: f64 = 4.0;
        let vertical = (from.0 - to.0).abs() < (from.1 - to.1).abs();
        let (dx, dy) = if vertical { (HALF_STROKE_PX, 0.0) } else { (0.0, HALF_STROKE_PX) };
        self.line(from, to, color, 1.5);
        for (x, y) in [from, to] {
            self.line((x - dx, y - dy), (x + dx, y + dy), color, 1.5);
        }
    }

    /// Draws a line of text.
    pub fn text(&mut self, text: &str, place: Place, font: Font) {
        let style = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
        // The backend divides every size by 1.24.
        let desc = FontDesc::new(FontFamily::Name("inherit"), font.size_px * SCALE * 1.24, style);
        let style = TextStyle {
            font: desc.transform(FontTransform::None),
            color: font.color.to_backend_color(),
            pos: Pos::new(font.align, VPos::Center),
        };
        self.backend.draw_text(text, &style, units(place)).expect(CANNOT_FAIL);
    }
}

fn units((x, y): Place) -> (i32, i32) {
    ((x * SCALE).round() as i32, (y * SCALE).round() as i32)
}

/// Adds to the SVG what the backend cannot write: a size that scales, a name for screen readers,
/// one font for all text, and dashes. Removes attributes that are not needed.
fn finish(svg: &str, (width_px, height_px): (u32, u32), label: &str) -> String {
    #[derive(Template)]
    #[template(path = "svg_root.html")]
    struct Root<'a> {
        width_px: u32,
        height_px: u32,
        label: &'a str,
    }
    let root =
        Root { width_px, height_px, label }.render().expect("the template has no way to fail");
    let (_, content) =
        svg.split_once('\n').expect("the backend ends its root element with a new line");
    let mut content = content.replace(" font-family=\"inherit\"", "").replace(" opacity=\"1\"", "");
    for (index, dash_px) in DASHES.iter().enumerate().skip(1) {
        let dash =
            dash_px.iter().map(|px| format!("{}", px * SCALE as u32)).collect::<Vec<_>>().join(" ");
        let named = format!("stroke-width=\"{}\"", CURVE_WIDTH as usize + index);
        content = content.replace(
            &named,
            &format!("stroke-width=\"{CURVE_WIDTH}\" stroke-dasharray=\"{dash}\""),
        );
    }
    root + "\n" + &content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::palette;

    #[test]
    fn the_svg_scales_and_has_a_name() {
        let svg = draw((560, 300), "Throughput of <b> & \"c\"", |_| {});
        let document = roxmltree::Document::parse(&svg).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("viewBox"), Some("0 0 5600 3000"));
        assert_eq!(root.attribute("role"), Some("img"));
        assert_eq!(root.attribute("aria-label"), Some("Throughput of <b> & \"c\""));
    }

    #[test]
    fn a_dashed_curve_is_one_element() {
        let svg = draw((10, 10), "", |canvas| {
            canvas.curve(&[(0.0, 0.0), (9.0, 9.0)], palette::look(1), 1.0);
        });
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert!(svg.contains("stroke-width=\"20\" stroke-dasharray=\"80 30\""), "{svg}");
    }

    #[test]
    fn text_is_text_at_its_size() {
        let font = Font { size_px: 14.0, color: palette::INK, bold: false, align: HPos::Left };
        let svg = draw((100, 20), "", |canvas| {
            canvas.text("p99 < 1 ms", (0.0, 10.0), font);
        });
        assert!(svg.contains("font-size=\"140\"") && svg.contains("p99 &lt; 1 ms"), "{svg}");
    }
}
