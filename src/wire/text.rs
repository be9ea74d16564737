//! The capture as text: what happened in words, the frames of each segment side by side, and the
//! ladder.

use std::fmt::Write;

use c10k_reports::wire::{Arrow, Beside, Frame, Ladder, Network, Passage, Wire};

/// Widths of the columns, in characters.
const TIME: usize = 9;
const CALL: usize = 20;
const STATE: usize = 14;
const PACKET: usize = 38;

/// Most characters of the description of a packet in the table of frames.
const ABOUT: usize = 46;

/// Widest line of words.
const LINE: usize = 100;

/// Renders a capture.
pub fn write(wire: &Wire) -> String {
    let mut text = format!("{}\n", wrap(&wire.lead, ""));
    if let Some(network) = &wire.network {
        text.push('\n');
        text += &cards(network);
        text.push('\n');
        text += &frames(network);
    }
    text.push('\n');
    text += &ladder(&wire.ladder);
    text.push('\n');
    for (index, sentence) in wire.story.iter().enumerate() {
        let number = format!("{}. ", index + 1);
        let indent = " ".repeat(number.len());
        let _ = writeln!(text, "{number}{}", wrap(sentence, &indent));
    }
    for note in &wire.notes {
        let _ = writeln!(text, "{}", wrap(&format!("note: {note}"), "      "));
    }
    text
}

fn cards(network: &Network) -> String {
    let mut text = String::new();
    for card in &network.cards {
        let device = &network.segments[card.segment];
        let line = format!(
            "{:<3} {:<10} {} {:<16} at {device} {}",
            card.label,
            card.host,
            card.mac,
            card.address,
            card.segment + 1
        );
        let _ = writeln!(text, "{line}");
    }
    text
}

/// Renders each packet with its frames side by side.
fn frames(network: &Network) -> String {
    let mut text = format!("{:>TIME$}  {:<ABOUT$}  frames, hop by hop\n", "ms", "packet");
    let is_shared =
        |segment: usize| network.cards.iter().filter(|card| card.segment == segment).count() > 2;
    let has_bystanders = (0..network.segments.len()).any(is_shared);
    for Passage { about, frames } in &network.passages {
        let hop = |frame: &Frame| {
            let seen = frame.seen.iter().skip(1).map(|card| &*network.cards[*card].label);
            let seen = seen.collect::<Vec<_>>().join(", ");
            let seen = if has_bystanders { format!(" (seen by {seen})") } else { String::new() };
            format!("{:<18}{seen}", frame.text())
        };
        let hops: Vec<String> = frames.iter().map(hop).collect();
        let at_ms = frames.first().map_or(0.0, |frame| frame.at_ms);
        let line = format!("{at_ms:>TIME$.3}  {about:<ABOUT$}  {}", hops.join("  "));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn ladder(ladder: &Ladder) -> String {
    const BESIDE: usize = CALL + 1 + STATE;
    let Ladder { client, server, rows } = ladder;
    let mut text = format!("{:TIME$}  {client:<BESIDE$} {:PACKET$} {server}\n", "", "");
    let _ = writeln!(
        text,
        "{:>TIME$}  {:<CALL$} {:<STATE$} {:PACKET$} {:<STATE$} call",
        "ms", "call", "state", "", "state"
    );
    for row in rows {
        let Beside { call, state } = &row.client;
        let packet = row.arrow.as_ref().map(packet).unwrap_or_default();
        let line = format!(
            "{:>TIME$}  {call:<CALL$} {state:<STATE$} {packet:<PACKET$} {:<STATE$} {}",
            row.at, row.server.state, row.server.call
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Renders a packet as an arrow.
fn packet(arrow: &Arrow) -> String {
    let about = format!(" {} {} ", arrow.flags, arrow.detail);
    let line = "─".repeat(PACKET.saturating_sub(about.chars().count() + 4));
    if arrow.to_server {
        format!("──{about}{line}─▶")
    } else {
        format!("◀─{about}{line}──")
    }
}

/// Breaks a text at spaces; every line but the first begins with `indent`.
fn wrap(text: &str, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if length > 0 && length + 1 + word.chars().count() > LINE - indent.len() {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join(&format!("\n{indent}"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::short_connection;
    use super::super::rows;
    use super::*;

    #[test]
    fn a_ladder_has_a_line_for_each_row_and_straight_columns() {
        let text = ladder(&rows::ladder(&short_connection()));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 16, "{text}");
        let expected = "    0.000  connect = 0          (SYN-SENT)     ── S seq 0 ";
        assert!(lines[2].starts_with(expected), "{text}");
        assert!(lines[3].contains("◀─ S. seq 0 ack 1 ─"), "{text}");
        let place = |line: &str, end: char| line.chars().position(|character| character == end);
        assert_eq!(place(lines[2], '▶'), Some(9 + 2 + 20 + 1 + 14 + 1 + 37), "{text}");
        assert_eq!(place(lines[3], '◀'), Some(9 + 2 + 20 + 1 + 14 + 1), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= 124), "{text}");
    }

    #[test]
    fn long_texts_are_broken_between_words() {
        let text = wrap(&"word ".repeat(40), "   ");
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.chars().count() <= 100));
        assert!(text.lines().skip(1).all(|line| line.starts_with("   word")), "{text}");
    }
}
