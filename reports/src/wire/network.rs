//! Picture of a network: its hosts with their cards, the devices that connect them, and each frame
//! as an arrow from the card that sent it to the cards that saw it.

use super::definition::{Card, Frame, Network, Passage};
use super::ladder::draw_head;
use crate::chart::canvas::{self, Canvas, Font, HPos};
use crate::chart::palette::{self, GRID, INK, MUTED};
use crate::chart::panel::{NOTE, TEXT};

/// Right end of times, and left end of the text of packets, in px.
const TIME_PX: f64 = 66.0;
const PACKET_PX: f64 = 80.0;

/// Space for the text at the left, and for each card, in px.
const ABOUT_PX: f64 = 390.0;
const CARD_PX: f64 = 200.0;

/// Size of a host, in px; the cards of one host share one.
const HOST_TOP_PX: f64 = 12.0;
const HOST_BOTTOM_PX: f64 = 90.0;
const HOST_MARGIN_PX: f64 = 8.0;

/// Place of the devices that connect cards, in px.
const DEVICE_TOP_PX: f64 = 104.0;
const DEVICE_BOTTOM_PX: f64 = 128.0;

/// Place of the first packet, and the height of each frame, in px.
const FRAMES_TOP_PX: f64 = 146.0;
const FRAME_PX: f64 = 30.0;

/// Text in the middle of its place.
const CENTRED: Font = Font { align: HPos::Center, ..TEXT };

/// Draws a network.
pub fn draw(network: &Network) -> String {
    let frames = frames(network);
    let width_px = ABOUT_PX + CARD_PX * network.cards.len() as f64;
    let height_px = FRAMES_TOP_PX + FRAME_PX * frames.len() as f64 + 12.0;
    canvas::draw((width_px as u32, height_px as u32), &label(network), |canvas| {
        draw_devices(canvas, network);
        draw_hosts(canvas, &network.cards);
        for index in 0..network.cards.len() {
            let x = middle_px(index);
            canvas.line((x, DEVICE_BOTTOM_PX + 6.0), (x, height_px - 6.0), GRID, 1.5);
        }
        for (index, (passage, frame)) in frames.iter().enumerate() {
            draw_frame(canvas, passage, frame, FRAMES_TOP_PX + FRAME_PX * (index as f64 + 0.7));
        }
    })
}

/// Returns all frames with their packets, in the order of time.
fn frames(network: &Network) -> Vec<(&Passage, &Frame)> {
    let mut frames = Vec::new();
    for passage in &network.passages {
        frames.extend(passage.frames.iter().map(|frame| (passage, frame)));
    }
    frames.sort_by(|(_, one), (_, other)| one.at_ms.total_cmp(&other.at_ms));
    frames
}

/// Describes the picture for screen readers.
fn label(network: &Network) -> String {
    let cards = network.cards.iter().map(|card| format!("{} {}", card.label, card.host));
    let cards: Vec<_> = cards.collect();
    let packets = network.passages.len();
    format!("Frames of {packets} packets at the cards {}", cards.join(", "))
}

/// Returns the place of a card's lifeline.
fn middle_px(card: usize) -> f64 {
    ABOUT_PX + CARD_PX * (card as f64 + 0.5)
}

/// Draws a box for each run of cards that belong to one host.
fn draw_hosts(canvas: &mut Canvas, cards: &[Card]) {
    let mut first = 0;
    for run in cards.chunk_by(|one, other| one.host == other.host) {
        let last = first + run.len() - 1;
        let left = middle_px(first) - CARD_PX / 2.0 + HOST_MARGIN_PX;
        let right = middle_px(last) + CARD_PX / 2.0 - HOST_MARGIN_PX;
        canvas.hollow_rectangle((left, HOST_TOP_PX), (right, HOST_BOTTOM_PX), MUTED);
        let middle = f64::midpoint(left, right);
        canvas.text(&run[0].host, (middle, HOST_TOP_PX + 15.0), Font { bold: true, ..CENTRED });
        for (index, card) in run.iter().enumerate() {
            let x = middle_px(first + index);
            let muted = Font { color: MUTED, ..CENTRED };
            let name = format!("{} {}", card.label, card.address);
            canvas.text(name.trim_end(), (x, HOST_TOP_PX + 38.0), CENTRED);
            canvas.text(&card.mac, (x, HOST_TOP_PX + 58.0), muted);
            canvas.line((x, HOST_BOTTOM_PX), (x, DEVICE_TOP_PX), INK, 1.5);
        }
        first = last + 1;
    }
}

/// Draws a bar for each device, below the cards that it connects.
fn draw_devices(canvas: &mut Canvas, network: &Network) {
    for (segment, name) in network.segments.iter().enumerate() {
        let of_segment = network.cards.iter().enumerate();
        let places = of_segment.filter(|(_, card)| card.segment == segment);
        let places: Vec<f64> = places.map(|(index, _)| middle_px(index)).collect();
        let (Some(first), Some(last)) = (places.first(), places.last()) else { continue };
        let (left, right) = (first - 40.0, last + 40.0);
        canvas.rectangle((left, DEVICE_TOP_PX), (right, DEVICE_BOTTOM_PX), GRID);
        let middle = f64::midpoint(DEVICE_TOP_PX, DEVICE_BOTTOM_PX);
        canvas.text(name, (f64::midpoint(left, right), middle), CENTRED);
    }
}

/// Draws an arrow from the card that sent the frame to each card that saw it. The packet is named
/// beside its first frame, and again, less visibly, beside the others.
fn draw_frame(canvas: &mut Canvas, passage: &Passage, frame: &Frame, y: f64) {
    let is_first = passage.frames.first().is_some_and(|first| std::ptr::eq(first, frame));
    let at = format!("{:.3}", frame.at_ms);
    canvas.text(&at, (TIME_PX, y), Font { align: HPos::Right, ..NOTE });
    canvas.text(&passage.about, (PACKET_PX, y), if is_first { TEXT } else { NOTE });
    let Some((from, others)) = frame.seen.split_first() else { return };
    let from_px = middle_px(*from);
    let color = palette::look(usize::from(others.iter().any(|card| card < from))).color;
    for card in others {
        draw_head(canvas, (from_px, middle_px(*card)), y, color);
    }
    // In front of the first card that the frame reaches, so that no lifeline crosses the text.
    let distance = |card: &&usize| card.abs_diff(*from);
    let nearest = others.iter().min_by_key(distance).unwrap_or(from);
    let place = (f64::midpoint(from_px, middle_px(*nearest)), y - 10.0);
    canvas.text(&frame.text(), place, Font { align: HPos::Center, color, ..NOTE });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_an_arrow_to_each_card_that_saw_it() {
        let card = |label: &str, host: &str, segment| Card {
            label: label.into(),
            host: host.into(),
            segment,
            mac: "02:00:00:00:00:01".into(),
            address: String::new(),
        };
        let frame = |at_ms, destination: &str, ttl, seen: &[usize]| Frame {
            at_ms,
            source: "C".into(),
            destination: destination.into(),
            ttl,
            seen: seen.to_vec(),
        };
        let network = Network {
            cards: vec![
                card("C", "client", 0),
                card("R1", "router", 0),
                card("R2", "router", 1),
                card("S", "server", 1),
            ],
            segments: vec!["switch".into(), "switch".into()],
            passages: vec![
                Passage { about: "arp".into(), frames: vec![frame(0.2, "all", None, &[0, 1])] },
                Passage {
                    about: "tcp".into(),
                    frames: vec![
                        frame(0.1, "R1", Some(64), &[0, 1]),
                        frame(0.3, "S", Some(63), &[2, 3]),
                    ],
                },
            ],
        };
        let svg = draw(&network);
        roxmltree::Document::parse(&svg).unwrap();
        for text in ["C → all", "C → R1 ttl 64", "C → S ttl 63"] {
            assert_eq!(svg.matches(text).count(), 1, "{text}");
        }
        let places = ["C → R1 ttl 64", "C → all", "C → S ttl 63"].map(|text| svg.find(text));
        assert!(places.is_sorted(), "frames are in the order of time");
        // Client, router and server: the two cards of the router are in one host.
        assert_eq!(svg.matches(">\nrouter\n<").count(), 1, "{svg}");
    }
}
