//! Layouts: the hosts of each topology, their cards with fixed addresses, and the switches that
//! connect them.
//!
//! A reader of a capture should recognise every address. IP addresses are from the ranges for
//! documentation (RFC 5737): 192.0.2.0/24 is the network of the client, and 198.51.100.0/24 is the
//! one of the server behind a router. The addresses of cards are locally administered and count up:
//! 02:00:00:00:00:01 is the client, :02 the server, :03 the bystander, :11 and :12 are the router.

use std::net::Ipv4Addr;

use super::topology::Topology;

/// Length of the prefix of every network.
pub(super) const PREFIX_LENGTH: u8 = 24;

/// Client, server and router in the network of the client.
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);

/// Server and router in the network of a server behind a router.
const FAR_SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const FAR_ROUTER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);

/// A network card: an interface of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Name of the interface.
    pub name: String,
    /// Place in the network: `client`, `server`, `router-client-side`, `router-server-side` or
    /// `bystander`. The only card of `loopback` is the one of the client.
    pub point: &'static str,
    /// Address of the card; that of a loopback interface is all zeros.
    pub mac: [u8; 6],
    /// IPv4 address; a bystander has none.
    pub address: Option<Ipv4Addr>,
}

/// Hosts and switches of a topology.
#[derive(Debug)]
pub(super) struct Layout {
    /// Hosts; the first one is the client.
    pub hosts: Vec<HostLayout>,
    pub switches: Vec<SwitchLayout>,
}

/// A host, and what its namespace needs.
#[derive(Debug)]
pub(super) struct HostLayout {
    pub name: &'static str,
    pub cards: Vec<CardLayout>,
    /// Router through which the host reaches other networks.
    pub gateway: Option<Ipv4Addr>,
    /// True if the host passes on packets that are for others.
    pub forwards: bool,
}

/// A card, and its place.
#[derive(Debug)]
pub(super) struct CardLayout {
    pub card: Card,
    /// Position of the switch that it is plugged into; `None` for a loopback interface.
    pub switch: Option<usize>,
    /// True if it also receives frames that are for other cards.
    pub is_promiscuous: bool,
}

/// A switch or a hub.
#[derive(Debug)]
pub(super) struct SwitchLayout {
    pub name: &'static str,
    /// True if it learns behind which of its ports each card is. A hub sends every frame to all.
    pub learns: bool,
}

impl Topology {
    /// Returns the address of the server.
    pub fn server_address(self) -> Ipv4Addr {
        match self {
            Self::Loopback => Ipv4Addr::LOCALHOST,
            Self::Bridged | Self::Hub => SERVER,
            Self::Routed => FAR_SERVER,
        }
    }
}

impl Layout {
    /// Returns the layout of a topology.
    pub fn of(topology: Topology) -> Self {
        match topology {
            Topology::Loopback => Self { hosts: vec![loopback()], switches: Vec::new() },
            Topology::Bridged => at_one_switch(SwitchLayout { name: "switch", learns: true }),
            Topology::Hub => at_one_switch(SwitchLayout { name: "hub", learns: false }),
            Topology::Routed => routed(),
        }
    }
}

/// Client, server and a bystander, who has no address and only listens.
fn at_one_switch(switch: SwitchLayout) -> Layout {
    let bystander = CardLayout { is_promiscuous: true, ..card("eth0", "bystander", 0x03, None, 0) };
    let hosts = vec![
        host("client", vec![card("eth0", "client", 0x01, Some(CLIENT), 0)]),
        host("server", vec![card("eth0", "server", 0x02, Some(SERVER), 0)]),
        host("bystander", vec![bystander]),
    ];
    Layout { hosts, switches: vec![switch] }
}

/// Client and server at a switch each, and a router with a card at both.
fn routed() -> Layout {
    let client = host("client", vec![card("eth0", "client", 0x01, Some(CLIENT), 0)]);
    let server = host("server", vec![card("eth0", "server", 0x02, Some(FAR_SERVER), 1)]);
    let of_router = vec![
        card("eth0", "router-client-side", 0x11, Some(ROUTER), 0),
        card("eth1", "router-server-side", 0x12, Some(FAR_ROUTER), 1),
    ];
    let hosts = vec![
        HostLayout { gateway: Some(ROUTER), ..client },
        HostLayout { gateway: Some(FAR_ROUTER), ..server },
        HostLayout { forwards: true, ..host("router", of_router) },
    ];
    let switches = ["switch-client-side", "switch-server-side"];
    Layout { hosts, switches: switches.map(|name| SwitchLayout { name, learns: true }).into() }
}

/// One host, which is client and server.
fn loopback() -> HostLayout {
    let card = Card {
        name: "lo".to_owned(),
        point: "client",
        mac: [0; 6],
        address: Some(Ipv4Addr::LOCALHOST),
    };
    host("client and server", vec![CardLayout { card, switch: None, is_promiscuous: false }])
}

fn host(name: &'static str, cards: Vec<CardLayout>) -> HostLayout {
    HostLayout { name, cards, gateway: None, forwards: false }
}

fn card(
    name: &str,
    point: &'static str,
    number: u8,
    address: Option<Ipv4Addr>,
    switch: usize,
) -> CardLayout {
    let mac = [0x02, 0, 0, 0, 0, number];
    let card = Card { name: name.to_owned(), point, mac, address };
    CardLayout { card, switch: Some(switch), is_promiscuous: false }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_card_has_a_place_and_an_address_of_its_own() {
        for topology in Topology::value_variants() {
            let Layout { hosts, switches } = Layout::of(*topology);
            let cards: Vec<_> = hosts.iter().flat_map(|host| &host.cards).collect();
            let macs: HashSet<_> = cards.iter().map(|card| card.card.mac).collect();
            let points: HashSet<_> = cards.iter().map(|card| card.card.point).collect();
            assert_eq!((macs.len(), points.len()), (cards.len(), cards.len()), "{topology}");
            let mut plugged = cards.iter().filter_map(|card| card.switch);
            assert!(plugged.all(|switch| switch < switches.len()), "{topology}");
        }
    }

    #[test]
    fn the_server_has_the_address_that_is_told() {
        for topology in Topology::value_variants() {
            let hosts = Layout::of(*topology).hosts;
            let cards = hosts.iter().flat_map(|host| &host.cards);
            let told = Some(topology.server_address());
            let count = cards.filter(|card| card.card.address == told).count();
            assert_eq!(count, 1, "{topology}");
        }
    }
}
