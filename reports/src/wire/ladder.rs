//! Picture of a ladder: two lifelines, arrows for the packets between them, and on each side the
//! state of the socket and the system calls.

use super::definition::{Arrow, Ladder, Row};
use crate::chart::canvas::{self, Canvas, Font, HPos};
use crate::chart::palette::{self, FAILED, GRID, INK, MUTED};
use crate::chart::panel::{NOTE, TEXT};

/// Width of the picture, in px.
const WIDTH_PX: f64 = 1100.0;

/// Places from left to right, in px: the right end of times, of the client's calls and of its
/// states, and the two lifelines. The other side mirrors this one.
const TIME_PX: f64 = 66.0;
const CLIENT_CALL_PX: f64 = 236.0;
const CLIENT_STATE_PX: f64 = 372.0;
const CLIENT_PX: f64 = 388.0;
const SERVER_PX: f64 = 732.0;
const SERVER_STATE_PX: f64 = 748.0;
const SERVER_CALL_PX: f64 = 884.0;

/// Height of a packet and of a call, in px.
const PACKET_PX: f64 = 32.0;
const CALL_PX: f64 = 22.0;

/// Space above the first row and below the last, in px.
const ABOVE_PX: f64 = 62.0;
const BELOW_PX: f64 = 14.0;

/// Size of an arrow's head, in px.
const HEAD_PX: f64 = 9.0;

/// Text at the left or the right of its place.
const LEFT: Font = TEXT;
const RIGHT: Font = Font { align: HPos::Right, ..TEXT };

/// Draws a ladder.
pub fn draw(ladder: &Ladder) -> String {
    let height_px = ABOVE_PX + ladder.rows.iter().map(row_px).sum::<f64>() + BELOW_PX;
    canvas::draw((WIDTH_PX as u32, height_px.ceil() as u32), &label(ladder), |canvas| {
        draw_heads(canvas, ladder);
        for x in [CLIENT_PX, SERVER_PX] {
            canvas.line((x, ABOVE_PX - 8.0), (x, height_px - BELOW_PX / 2.0), MUTED, 1.5);
        }
        let mut top = ABOVE_PX;
        for row in &ladder.rows {
            draw_row(canvas, row, top);
            top += row_px(row);
        }
    })
}

fn row_px(row: &Row) -> f64 {
    if row.arrow.is_some() { PACKET_PX } else { CALL_PX }
}

/// Describes the ladder for screen readers.
fn label(ladder: &Ladder) -> String {
    let packets = ladder.rows.iter().filter_map(|row| row.arrow.as_ref()).map(|arrow| {
        let sender = if arrow.to_server { "client" } else { "server" };
        format!("{sender} {} {}", arrow.flags, arrow.detail)
    });
    let packets: Vec<_> = packets.collect();
    format!("Packets between {} and {}: {}", ladder.client, ladder.server, packets.join("; "))
}

fn draw_heads(canvas: &mut Canvas, ladder: &Ladder) {
    const NAMES_PX: f64 = 18.0;
    const COLUMNS_PX: f64 = 40.0;
    canvas.text(&ladder.client, (CLIENT_PX, NAMES_PX), Font { bold: true, ..RIGHT });
    canvas.text(&ladder.server, (SERVER_PX, NAMES_PX), Font { bold: true, ..LEFT });
    let right = Font { align: HPos::Right, ..NOTE };
    for (text, x, font) in [
        ("ms", TIME_PX, right),
        ("call", CLIENT_CALL_PX, right),
        ("state", CLIENT_STATE_PX, right),
        ("state", SERVER_STATE_PX, NOTE),
        ("call", SERVER_CALL_PX, NOTE),
    ] {
        canvas.text(text, (x, COLUMNS_PX), font);
    }
}

fn draw_row(canvas: &mut Canvas, row: &Row, top: f64) {
    // An arrow is below its text; what is beside it is at its height.
    let y = top + row_px(row) - CALL_PX / 2.0;
    let Row { client, server, .. } = row;
    for (text, x, font) in [
        (&row.at, TIME_PX, Font { align: HPos::Right, ..NOTE }),
        (&client.call, CLIENT_CALL_PX, RIGHT),
        (&client.state, CLIENT_STATE_PX, Font { color: state_color(&client.state), ..RIGHT }),
        (&server.state, SERVER_STATE_PX, Font { color: state_color(&server.state), ..LEFT }),
        (&server.call, SERVER_CALL_PX, LEFT),
    ] {
        if !text.is_empty() {
            canvas.text(text, (x, y), font);
        }
    }
    match &row.arrow {
        Some(arrow) => draw_arrow(canvas, arrow, y),
        None => draw_call(canvas, row, y),
    }
}

/// A state that was not read is less important.
fn state_color(state: &str) -> canvas::RGBColor {
    if state.starts_with('(') { MUTED } else { INK }
}

fn draw_arrow(canvas: &mut Canvas, arrow: &Arrow, y: f64) {
    let color = match arrow {
        Arrow { is_reset: true, .. } => FAILED,
        Arrow { to_server, .. } => palette::look(usize::from(!to_server)).color,
    };
    let (from, to) = if arrow.to_server { (CLIENT_PX, SERVER_PX) } else { (SERVER_PX, CLIENT_PX) };
    draw_head(canvas, (from, to), y, color);
    let middle = f64::midpoint(CLIENT_PX, SERVER_PX);
    let font = Font { align: HPos::Center, color, ..TEXT };
    canvas.text(&format!("{}  {}", arrow.flags, arrow.detail), (middle, y - 10.0), font);
}

/// Draws a horizontal line with a head at its end.
pub fn draw_head(canvas: &mut Canvas, (from, to): (f64, f64), y: f64, color: canvas::RGBColor) {
    let back = if to > from { -HEAD_PX } else { HEAD_PX };
    canvas.line((from, y), (to + back / 2.0, y), color, 1.8);
    let head = [(to, y), (to + back, y - HEAD_PX / 2.0), (to + back, y + HEAD_PX / 2.0)];
    canvas.polygon(&head, color, 1.0);
}

/// Marks a call between two packets at the lifeline of its side.
fn draw_call(canvas: &mut Canvas, row: &Row, y: f64) {
    let is_client = !row.client.call.is_empty();
    let (lifeline, end) = if is_client {
        (CLIENT_PX, CLIENT_CALL_PX + 6.0)
    } else {
        (SERVER_PX, SERVER_CALL_PX - 6.0)
    };
    canvas.line((lifeline, y), (end, y), GRID, 1.0);
}

#[cfg(test)]
mod tests {
    use super::super::definition::Beside;
    use super::*;

    fn packet(to_server: bool, flags: &str) -> Row {
        let beside = Beside { call: "close = 0".into(), state: "(LAST-ACK)".into() };
        Row {
            at: "0.012".into(),
            client: beside.clone(),
            server: beside,
            arrow: Some(Arrow {
                to_server,
                flags: flags.into(),
                detail: "seq 1 ack 1".into(),
                is_reset: flags.contains('R'),
            }),
        }
    }

    #[test]
    fn every_packet_and_every_call_is_in_the_picture() {
        let mut call = packet(true, "");
        call.arrow = None;
        let rows = vec![packet(true, "S"), packet(false, "S."), call, packet(true, "R.")];
        let ladder = Ladder { client: "client <1>".into(), server: "server".into(), rows };
        let svg = draw(&ladder);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let label = document.root_element().attribute("aria-label").unwrap();
        assert!(
            label.contains("client S seq 1 ack 1; server S. seq 1 ack 1; client R."),
            "{label}"
        );
        assert_eq!(svg.matches("<polygon").count(), 3, "one head for each packet");
        assert_eq!(svg.matches("close = 0").count(), 8);
        assert!(svg.contains("client &lt;1&gt;"), "{svg}");
    }
}
