//! The capture as one JSON object.

use serde_json::{Map, Value, json};

use super::observation::{Call, Observation, Pair, Point, Reading, Sent, Side, Sighting};
use super::packet::{Content, Packet, mac_text};
use super::rows::{causes, is_read};
use super::state::{State, States, implied};
use super::story::time_wait;
use super::told::Capture;

/// What is known of a segment beyond its content.
struct Known<'a> {
    states: States,
    cause: Option<&'a Call>,
    connection: usize,
}

/// Renders a capture.
pub fn write(capture: &Capture) -> String {
    let observation = &capture.observation;
    let mut object = Map::new();
    object.insert("subject".into(), json!(capture.subject));
    object.insert("about".into(), json!(capture.lead));
    object.extend(capture.settings.clone());
    object.insert("connections".into(), connections(observation));
    object.insert("points".into(), observation.points.iter().map(point).collect());
    object.insert("packets".into(), packets(observation));
    object.insert("calls".into(), calls(observation));
    object.insert("states".into(), states(observation));
    object.insert("closed_first".into(), json!(observation.closed_first(0).map(Side::name)));
    object.insert("time_wait".into(), held(observation));
    object.insert("story".into(), json!(capture.story));
    object.insert("notes".into(), json!(capture.notes));
    if let Some(restart) = &capture.restart {
        object.insert(
            "restart".into(),
            json!({
                "without_reuse_address": restart.without_reuse_address,
                "with_reuse_address": restart.with_reuse_address,
            }),
        );
    }
    format!("{:#}\n", Value::Object(object))
}

/// Returns the side that holds the first connection in TIME-WAIT: `client`, `server`, `both`, or
/// null.
fn held(observation: &Observation) -> Value {
    match time_wait(observation)[..] {
        [] => Value::Null,
        [side] => json!(side.name()),
        _ => json!("both"),
    }
}

fn connections(observation: &Observation) -> Value {
    let pair = |pair: &Pair| json!({ "client": pair.client.to_string(), "server": pair.server.to_string() });
    observation.connections.iter().map(pair).collect()
}

fn point(point: &Point) -> Value {
    json!({
        "point": point.name,
        "host": point.host,
        "interface": point.interface,
        "mac": point.mac.map(mac_text),
        "address": point.address.map(|address| address.to_string()),
    })
}

fn packets(observation: &Observation) -> Value {
    let states = implied(observation);
    let causes = causes(observation);
    let mut known = observation.sent().zip(states).zip(causes).peekable();
    let packets = observation.sightings.iter().map(|sighting| {
        // Segments at the card of their sender come in the same order.
        let is_it = |((sent, _), _): &((Sent<'_>, States), Option<usize>)| {
            sighting.packet.tcp().is_some_and(|tcp| std::ptr::eq(sent.tcp, tcp))
        };
        let known = known.next_if(is_it).map(|((sent, states), cause)| Known {
            states,
            cause: cause.map(|index| &observation.calls[index]),
            connection: sent.connection,
        });
        packet(observation, sighting, known.as_ref())
    });
    packets.collect()
}

fn packet(observation: &Observation, sighting: &Sighting, known: Option<&Known<'_>>) -> Value {
    let Sighting { at_ns, point, packet, .. } = sighting;
    let [source_ip, destination_ip] = packet.addresses();
    let mac = |index: usize| packet.cards.map(|cards| mac_text(cards[index]));
    let tcp = packet.tcp();
    let mut object = json!({
        "at_us": observation.since_begin_us(*at_ns),
        "point": observation.points[*point].name,
        "from": from(observation, packet),
        "flags": tcp.map(|tcp| tcp.flags.letters()),
        "sequence": tcp.map(|tcp| tcp.sequence),
        "acknowledgement": tcp.map(|tcp| tcp.acknowledgement),
        "length": length(packet),
        "source_mac": mac(0),
        "destination_mac": mac(1),
        "source_ip": source_ip.to_string(),
        "destination_ip": destination_ip.to_string(),
        "source_port": packet.route().map(|route| route.source.port()),
        "destination_port": packet.route().map(|route| route.destination.port()),
        "ttl": packet.route().map(|route| route.ttl),
        "kind": packet.kind(),
        "about": packet.about(),
    });
    if let (Some(known), Some(object)) = (known, object.as_object_mut()) {
        object.insert("connection".into(), json!(known.connection + 1));
        object.insert("call".into(), json!(known.cause.map(|call| &call.name)));
        for side in Side::BOTH {
            let state = known.states.of(side);
            let is_read = is_read(observation, known.connection, side, state);
            let value = json!({ "state": state.name(), "read": is_read });
            object.insert(format!("{}_state", side.name()), value);
        }
    }
    object
}

/// Returns the host that sent a packet: the side of a connection, or the host that has the address.
fn from(observation: &Observation, packet: &Packet) -> Option<String> {
    if let Some(tcp) = packet.tcp() {
        let sender = observation.connections.iter().find_map(|pair| pair.sender(tcp));
        return sender.map(|side| side.name().to_owned());
    }
    let is_source = |point: &&Point| match &packet.content {
        Content::Arp(arp) => point.mac == Some(arp.sender_mac),
        _ => point.address == Some(packet.addresses()[0]),
    };
    observation.points.iter().find(is_source).map(|point| point.host.clone())
}

/// Returns the bytes of content.
fn length(packet: &Packet) -> u32 {
    match &packet.content {
        Content::Tcp(tcp) => tcp.length,
        Content::Dns(dns) => dns.length,
        Content::Arp(_) => 0,
    }
}

fn calls(observation: &Observation) -> Value {
    let calls = observation.calls.iter().filter(|call| call.connection.is_some());
    let call = |call: &Call| {
        let lasts_us =
            (call.end_ns != u64::MAX).then(|| (call.end_ns - call.begin_ns) as f64 / 1e3);
        json!({
            "at_us": observation.since_begin_us(call.begin_ns),
            "duration_us": lasts_us,
            "side": call.side.name(),
            "connection": call.connection.map(|connection| connection + 1),
            "call": call.name,
            "result": call.result,
        })
    };
    calls.map(call).collect()
}

/// Returns the states that were read. A socket that the kernel does not know is closed.
fn states(observation: &Observation) -> Value {
    let reading = |reading: &Reading| {
        let state = reading.state.map_or(Some(State::Closed), State::of_kernel);
        json!({
            "at_us": observation.since_begin_us(reading.at_ns),
            "side": reading.side.name(),
            "connection": reading.connection + 1,
            "state": state.map(State::name),
        })
    };
    observation.readings.iter().map(reading).collect()
}
