//! Packets and calls for the tests of this module.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::observation::{Call, Observation, Pair, Point, Side, Sighting};
use super::packet::{Content, Flags, Link, Packet, Route, Tcp};

pub const CLIENT: Side = Side::Client;
pub const SERVER: Side = Side::Server;

/// The connection of all packets.
pub const PAIR: Pair = Pair { client: address(50_000), server: address(8080) };

const fn address(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// Returns a segment that `from` sends after this number of microseconds.
pub fn sighting(
    at_us: u64,
    from: Side,
    letters: &str,
    (sequence, acknowledgement): (u32, u32),
    length: u32,
) -> Sighting {
    let route = Route {
        source: PAIR.of(from),
        destination: PAIR.of(from.other()),
        ttl: 64,
        identification: 0,
    };
    let tcp = Tcp { route, flags: Flags::of(letters), sequence, acknowledgement, length };
    let packet = Packet { cards: None, content: Content::Tcp(tcp) };
    Sighting { at_ns: at_us * 1000, point: 0, packet, bytes: Vec::new() }
}

/// Returns a call between two times in microseconds.
pub fn call(side: Side, name: &str, begin_us: u64, end_us: u64, result: &str) -> Call {
    Call {
        side,
        connection: Some(0),
        name: name.into(),
        begin_ns: begin_us * 1000,
        end_ns: end_us * 1000,
        ended_by_ns: end_us * 1000,
        result: result.into(),
    }
}

/// Returns an observation of these packets over the loopback interface.
pub fn observation(sightings: Vec<Sighting>) -> Observation {
    let point = Point {
        name: "client".into(),
        host: "client".into(),
        interface: "lo".into(),
        link: Link::Ethernet,
        mac: None,
        address: None,
    };
    let connections = vec![PAIR];
    Observation { points: vec![point], sightings, connections, ..Observation::default() }
}

/// Returns a short connection that the server closes first, with the client's calls.
pub fn short_connection() -> Observation {
    let mut observation = observation(vec![
        sighting(0, CLIENT, "S", (0, 0), 0),
        sighting(20, SERVER, "S.", (0, 1), 0),
        sighting(30, CLIENT, ".", (1, 1), 0),
        sighting(100, CLIENT, "P.", (1, 1), 40),
        sighting(110, SERVER, ".", (1, 41), 0),
        sighting(300, SERVER, "P.", (1, 41), 1000),
        sighting(310, CLIENT, ".", (41, 1001), 0),
        sighting(400, SERVER, "F.", (1001, 41), 0),
        sighting(420, CLIENT, "F.", (41, 1002), 0),
        sighting(430, SERVER, ".", (1002, 42), 0),
    ]);
    observation.calls = vec![
        call(CLIENT, "connect", 0, 35, "0"),
        call(SERVER, "accept4", 1, 60, "5"),
        call(CLIENT, "send", 99, 105, "40"),
        call(CLIENT, "recv", 106, 320, "1000"),
        call(SERVER, "recvfrom", 150, 160, "40"),
        call(SERVER, "sendto", 290, 305, "1000"),
        call(CLIENT, "recv", 321, 405, "0"),
        call(SERVER, "close", 395, 404, "0"),
        call(CLIENT, "close", 415, 425, "0"),
    ];
    observation
}
