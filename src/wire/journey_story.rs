//! The way of the packets through a network, in words: the name that was looked up, the cards that
//! were asked for, what a router changes, and what a bystander saw.

use super::hops::{Journey, card_text, journeys};
use super::observation::{Observation, Sighting};
use super::packet::{Arp, BROADCAST, Content, Mac, Tcp};
use super::story::time;

/// Place of a card that only listens.
const BYSTANDER: &str = "bystander";

/// Tells the way of the packets; empty if there is only one card.
pub fn tell(observation: &Observation) -> Vec<String> {
    if observation.points.len() < 2 {
        return Vec::new();
    }
    let journeys = journeys(observation);
    let mut told: Vec<String> = questions_for_cards(observation, &journeys);
    told.extend(lookup(&journeys));
    told.extend(router(observation, &journeys));
    told.extend(bystander(observation, &journeys));
    told
}

fn lookup(journeys: &[Journey<'_>]) -> Option<String> {
    let find = |wanted: bool| {
        journeys.iter().find_map(|journey| match &journey.packet().content {
            Content::Dns(dns) if dns.is_answer == wanted => Some((dns, &journey.sightings)),
            _ => None,
        })
    };
    let (query, asked) = find(false)?;
    let (answer, answered) = find(true)?;
    Some(format!(
        "The name was looked up before the connection was opened: {} asked `{}`, and {} after \
         that the answer arrived: `{}`.",
        query.route.source.ip(),
        query.about,
        time(answered.last()?.at_ns - asked.first()?.at_ns),
        answer.about
    ))
}

/// Tells each question of ARP with its answer.
fn questions_for_cards(observation: &Observation, journeys: &[Journey<'_>]) -> Vec<String> {
    let all: Vec<&Arp> = journeys
        .iter()
        .filter_map(|journey| match &journey.packet().content {
            Content::Arp(arp) => Some(arp),
            Content::Tcp(_) | Content::Dns(_) => None,
        })
        .collect();
    let tell = |request: &&Arp| {
        let answer = all.iter().find(|arp| {
            !arp.is_request && (arp.sender, arp.target) == (request.target, request.sender)
        });
        let answer = answer.map_or_else(
            || "Nobody answered.".to_owned(),
            |answer| {
                let from = host_text(observation, answer.sender_mac);
                format!("The {from} answered to this card alone.")
            },
        );
        format!(
            "The {} had to know the card of {}, and asked all cards of its segment by ARP. {answer}",
            host_text(observation, request.sender_mac),
            request.target
        )
    };
    all.iter().filter(|arp| arp.is_request).map(tell).collect()
}

/// Returns the host that has a card, and the label of the card.
fn host_text(observation: &Observation, mac: Mac) -> String {
    let card = card_text(observation, mac);
    let point = observation.points.iter().find(|point| point.mac == Some(mac));
    point.map_or_else(|| format!("card {card}"), |point| format!("{} ({card})", point.host))
}

/// Tells what a router changed in the first segment of TCP.
fn router(observation: &Observation, journeys: &[Journey<'_>]) -> Option<String> {
    let journey = journeys.iter().find(|journey| journey.packet().tcp().is_some())?;
    let frames = journey.frames();
    let [near, far] = &frames[..] else { return None };
    let cards = |frame: &[&Sighting]| {
        let [from, to] = frame[0].packet.cards.unwrap_or_default();
        format!("{} → {}", card_text(observation, from), card_text(observation, to))
    };
    let (before, after) = (near[0].packet.route()?, far[0].packet.route()?);
    Some(format!(
        "The router put each packet into a new frame: the SYN came as {} and left as {}. The IP \
         addresses stayed {} → {}, and the time to live fell from {} to {}.",
        cards(near),
        cards(far),
        before.source.ip(),
        after.destination.ip(),
        before.ttl,
        after.ttl
    ))
}

/// Tells what a bystander saw of the frames.
fn bystander(observation: &Observation, journeys: &[Journey<'_>]) -> Option<String> {
    let place = observation.points.iter().position(|point| point.name == BYSTANDER)?;
    let seen: Vec<_> = journeys
        .iter()
        .filter_map(|journey| journey.sightings.iter().find(|sighting| sighting.point == place))
        .collect();
    let is_broadcast = |cards: Option<[_; 2]>| cards.is_some_and(|cards| cards[1] == BROADCAST);
    let broadcasts = seen.iter().filter(|sighting| is_broadcast(sighting.packet.cards)).count();
    let has_content = |tcp: Option<&Tcp>| tcp.is_some_and(|tcp| tcp.length > 0);
    let content = seen.iter().filter(|sighting| has_content(sighting.packet.tcp())).count();
    let (count, all) = (seen.len(), journeys.len());
    Some(if content > 0 {
        format!(
            "The bystander saw {count} of {all} packets, {content} with content: a hub sends every \
             frame to all cards, and any of them may listen."
        )
    } else if count == broadcasts {
        format!(
            "The bystander saw {count} of {all} packets, all of them broadcasts: a switch has learnt \
             where each card is, and sends other frames only there."
        )
    } else {
        format!("The bystander saw {count} of {all} packets, {broadcasts} of them broadcasts.")
    })
}
