//! Frames of a network, packet by packet: a packet is one frame in each segment that it crosses.

use c10k_reports::wire::{Card, Frame, Network, Passage};

use super::observation::{Observation, Point, Sighting};
use super::packet::{BROADCAST, Content, Mac, Packet, mac_text};
use crate::network::Topology;

/// Places of cards from client to server, with their labels.
const PLACES: [(&str, &str); 5] = [
    ("client", "C"),
    ("router-client-side", "R1"),
    ("router-server-side", "R2"),
    ("bystander", "B"),
    ("server", "S"),
];

/// Cards in the network of the server, if a router is in between.
const FAR: [&str; 2] = ["router-server-side", "server"];

/// A packet, and all sightings of it, in the order of time.
pub struct Journey<'a> {
    pub sightings: Vec<&'a Sighting>,
}

impl<'a> Journey<'a> {
    pub fn packet(&self) -> &'a Packet {
        &self.sightings[0].packet
    }

    /// Returns the sightings of each of its frames: a router sends a frame of its own.
    pub fn frames(&self) -> Vec<Vec<&'a Sighting>> {
        let mut frames: Vec<Vec<&Sighting>> = Vec::new();
        for &sighting in &self.sightings {
            let known =
                frames.iter_mut().find(|frame| frame[0].packet.cards == sighting.packet.cards);
            match known {
                Some(frame) => frame.push(sighting),
                None => frames.push(vec![sighting]),
            }
        }
        frames
    }
}

/// Returns all packets of an observation, in the order in which they were first seen.
pub fn journeys(observation: &Observation) -> Vec<Journey<'_>> {
    let mut journeys: Vec<Journey<'_>> = Vec::new();
    for sighting in &observation.sightings {
        let is_it = |journey: &&mut Journey<'_>| {
            is_same(journey.packet(), &sighting.packet)
                && journey.sightings.iter().all(|seen| seen.point != sighting.point)
        };
        match journeys.iter_mut().rev().find(is_it) {
            Some(journey) => journey.sightings.push(sighting),
            None => journeys.push(Journey { sightings: vec![sighting] }),
        }
    }
    journeys
}

/// True if a router or a switch may have made the one of the other: all but the cards and the time
/// to live is the same.
fn is_same(one: &Packet, other: &Packet) -> bool {
    let without_ttl = |packet: &Packet| {
        let mut content = packet.content.clone();
        match &mut content {
            Content::Tcp(tcp) => tcp.route.ttl = 0,
            Content::Dns(dns) => dns.route.ttl = 0,
            Content::Arp(_) => {}
        }
        content
    };
    // A router passes on no ARP.
    let is_arp = matches!(one.content, Content::Arp(_));
    without_ttl(one) == without_ttl(other) && (!is_arp || one.cards == other.cards)
}

/// Returns the network as it is shown; `None` if it has only one card.
pub fn network(observation: &Observation, topology: Topology) -> Option<Network> {
    if observation.points.len() < 2 {
        return None;
    }
    let order: Vec<usize> = PLACES
        .iter()
        .filter_map(|(place, _)| observation.points.iter().position(|point| point.name == *place))
        .collect();
    let cards = order.iter().map(|index| card(&observation.points[*index], topology)).collect();
    let segments = match topology {
        Topology::Routed => vec!["switch", "switch"],
        Topology::Hub => vec!["hub"],
        Topology::Bridged | Topology::Loopback => vec!["switch"],
    };
    let passages = journeys(observation);
    let passages = passages.iter().map(|journey| passage(observation, journey, &order));
    Some(Network {
        cards,
        segments: segments.into_iter().map(str::to_owned).collect(),
        passages: passages.collect(),
    })
}

fn card(point: &Point, topology: Topology) -> Card {
    let is_far = topology == Topology::Routed && FAR.contains(&&*point.name);
    Card {
        label: label(&point.name).to_owned(),
        host: point.host.clone(),
        segment: usize::from(is_far),
        mac: point.mac.map(mac_text).unwrap_or_default(),
        address: point.address.map(|address| address.to_string()).unwrap_or_default(),
    }
}

fn label(place: &str) -> &'static str {
    PLACES.iter().find(|(known, _)| *known == place).map_or("?", |(_, label)| label)
}

fn passage(observation: &Observation, journey: &Journey<'_>, order: &[usize]) -> Passage {
    let packet = journey.packet();
    let frames = journey.frames();
    Passage {
        about: format!("{}  {}", packet.kind(), packet.about()),
        frames: frames.iter().map(|frame| self::frame(observation, frame, order)).collect(),
    }
}

fn frame(observation: &Observation, sightings: &[&Sighting], order: &[usize]) -> Frame {
    let first = sightings[0];
    let cards = first.packet.cards.unwrap_or_default();
    let place = |point: usize| order.iter().position(|index| *index == point);
    let mut seen: Vec<usize> =
        sightings.iter().filter_map(|sighting| place(sighting.point)).collect();
    // Cards may see a frame in any order, but its sender comes first.
    let is_sender = |card: usize| observation.points[order[card]].mac == Some(cards[0]);
    seen.sort_by_key(|card| !is_sender(*card));
    Frame {
        at_ms: observation.since_begin_us(first.at_ns) / 1e3,
        source: card_text(observation, cards[0]),
        destination: card_text(observation, cards[1]),
        ttl: first.packet.route().map(|route| route.ttl),
        seen,
    }
}

/// Returns the label of a card.
pub fn card_text(observation: &Observation, mac: Mac) -> String {
    if mac == BROADCAST {
        return "all".into();
    }
    let known = observation.points.iter().find(|point| point.mac == Some(mac));
    known.map_or_else(|| mac_text(mac), |point| label(&point.name).to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::fixture::{CLIENT, observation, sighting};
    use super::super::packet::{Arp, Link};
    use super::*;

    const CARDS: [(&str, &str, u8); 4] = [
        ("client", "client", 1),
        ("server", "server", 2),
        ("router-client-side", "router", 0x11),
        ("router-server-side", "router", 0x12),
    ];

    const fn mac(number: u8) -> Mac {
        [2, 0, 0, 0, 0, number]
    }

    fn routed() -> Observation {
        let points = CARDS.map(|(name, host, number)| Point {
            name: name.into(),
            host: host.into(),
            interface: "eth0".into(),
            link: Link::Ethernet,
            mac: Some(mac(number)),
            address: None,
        });
        Observation { points: points.into(), ..observation(Vec::new()) }
    }

    fn at(at_us: u64, point: usize, cards: [Mac; 2], ttl: u8) -> Sighting {
        let mut sighting = sighting(at_us, CLIENT, "S", (0, 0), 0);
        sighting.point = point;
        sighting.packet.cards = Some(cards);
        if let Content::Tcp(tcp) = &mut sighting.packet.content {
            tcp.route.ttl = ttl;
        }
        sighting
    }

    #[test]
    fn a_packet_through_a_router_is_two_frames() {
        let near = [mac(1), mac(0x11)];
        let far = [mac(0x12), mac(2)];
        let mut observation = routed();
        observation.sightings =
            vec![at(0, 0, near, 64), at(1, 2, near, 64), at(2, 3, far, 63), at(3, 1, far, 63)];
        let network = network(&observation, Topology::Routed).unwrap();
        let labels: Vec<_> =
            network.cards.iter().map(|card| (&*card.label, card.segment)).collect();
        assert_eq!(labels, [("C", 0), ("R1", 0), ("R2", 1), ("S", 1)]);
        let [passage] = &network.passages[..] else { panic!("{:?}", network.passages) };
        let frames: Vec<_> = passage.frames.iter().map(Frame::text).collect();
        assert_eq!(frames, ["C → R1 ttl 64", "R2 → S ttl 63"]);
        assert_eq!(passage.frames[1].seen, [2, 3]);
    }

    #[test]
    fn a_packet_that_is_sent_again_is_another_one() {
        let near = [mac(1), mac(0x11)];
        let mut observation = routed();
        observation.sightings = vec![at(0, 0, near, 64), at(1, 2, near, 64), at(9, 0, near, 64)];
        assert_eq!(journeys(&observation).len(), 2);
    }

    #[test]
    fn a_question_for_a_card_stays_in_its_segment() {
        let arp = |at_us, point, sender: u8| {
            let arp = Arp {
                is_request: true,
                sender_mac: mac(sender),
                sender: Ipv4Addr::LOCALHOST,
                target: Ipv4Addr::LOCALHOST,
            };
            let mut sighting = at(at_us, point, [mac(sender), BROADCAST], 0);
            sighting.packet.content = Content::Arp(arp);
            sighting
        };
        let mut observation = routed();
        observation.sightings = vec![arp(0, 0, 1), arp(1, 2, 1), arp(2, 3, 0x12), arp(3, 1, 0x12)];
        let network = network(&observation, Topology::Routed).unwrap();
        let frames = |passage: &Passage| passage.frames.iter().map(Frame::text).collect::<Vec<_>>();
        let frames: Vec<_> = network.passages.iter().map(frames).collect();
        assert_eq!(frames, [["C → all"], ["R2 → all"]]);
    }
}
