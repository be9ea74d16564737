//! A packet as it is shown: what a frame says of TCP, ARP and DNS. All other frames are left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::{
    ArpOperation, ArpPacketSlice, LinkSlice, NetSlice, SlicedPacket, TcpSlice, TransportSlice,
    UdpSlice,
};
use simple_dns::rdata::RData;
use simple_dns::{PacketFlag, QTYPE};

/// Address of a card: six bytes (IEEE 802).
pub type Mac = [u8; 6];

/// Address that all cards of a segment listen to.
pub const BROADCAST: Mac = [0xff; 6];

/// Port of name servers.
const DNS_PORT: u16 = 53;

/// Beginning of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The addresses of two cards.
    Ethernet,
    /// The header of IP, as in a tunnel.
    Ip,
}

/// Content of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The card that sent the frame and the card that it is for; `None` in a tunnel.
    pub cards: Option<[Mac; 2]>,
    pub content: Content,
}

/// Content of a packet, by protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Tcp(Tcp),
    Arp(Arp),
    Dns(Dns),
}

/// The header of IP, with the ports of the header that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// Time to live: the number of routers that the packet may still pass.
    pub ttl: u8,
    /// Number by which the sender tells its packets apart; 0 in IPv6.
    pub identification: u16,
}

/// A segment of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    pub route: Route,
    pub flags: Flags,
    pub sequence: u32,
    pub acknowledgement: u32,
    /// Bytes of content.
    pub length: u32,
}

/// A question for the card of an IP address, or its answer (RFC 826).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    pub is_request: bool,
    pub sender_mac: Mac,
    pub sender: Ipv4Addr,
    pub target: Ipv4Addr,
}

/// A question for the address of a name, or its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    pub route: Route,
    pub id: u16,
    pub is_answer: bool,
    /// The name and the type of the question, and the addresses of the answer.
    pub about: String,
    /// Bytes of the message.
    pub length: u32,
}

/// Flags of a segment, as in the header of TCP (RFC 9293, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// The letters of tcpdump, beginning with the lowest bit.
    const LETTERS: [(u8, char); 8] = [
        (1, 'F'),
        (1 << 1, 'S'),
        (1 << 2, 'R'),
        (1 << 3, 'P'),
        (1 << 4, '.'),
        (1 << 5, 'U'),
        (1 << 6, 'E'),
        (1 << 7, 'W'),
    ];

    /// Reads flags from letters; other letters mean nothing.
    #[cfg(test)]
    pub fn of(letters: &str) -> Self {
        let bits = Self::LETTERS.iter().filter(|(_, letter)| letters.contains(*letter));
        Self(bits.map(|(bit, _)| bit).sum())
    }

    /// Returns the flags as tcpdump prints them, such as `S.`.
    pub fn letters(self) -> String {
        let set = Self::LETTERS.iter().filter(|(bit, _)| self.0 & bit != 0);
        set.map(|(_, letter)| letter).collect()
    }

    fn has(self, letter: char) -> bool {
        Self::LETTERS.iter().any(|&(bit, known)| known == letter && self.0 & bit != 0)
    }

    pub fn fin(self) -> bool {
        self.has('F')
    }

    pub fn syn(self) -> bool {
        self.has('S')
    }

    pub fn reset(self) -> bool {
        self.has('R')
    }

    pub fn ack(self) -> bool {
        self.has('.')
    }
}

impl Tcp {
    /// Returns the sequence numbers that the segment takes: one for each byte, one for SYN and one
    /// for FIN.
    pub fn takes(&self) -> u32 {
        self.length + u32::from(self.flags.syn()) + u32::from(self.flags.fin())
    }
}

impl Packet {
    /// Reads a frame; `None` if it is neither TCP, nor ARP for IPv4, nor DNS.
    pub fn parse(bytes: &[u8], link: Link) -> Option<Self> {
        let sliced = match link {
            Link::Ethernet => SlicedPacket::from_ethernet(bytes),
            Link::Ip => SlicedPacket::from_ip(bytes),
        };
        let SlicedPacket { link, net, transport, .. } = sliced.ok()?;
        let cards = match link {
            Some(LinkSlice::Ethernet2(ethernet)) => {
                Some([ethernet.source(), ethernet.destination()])
            }
            _ => None,
        };
        let content = match (net?, transport) {
            (NetSlice::Arp(arp), _) => Content::Arp(Arp::of(&arp)?),
            (net, Some(TransportSlice::Tcp(tcp))) => Content::Tcp(Tcp::of(&net, &tcp)?),
            (net, Some(TransportSlice::Udp(udp))) => Content::Dns(Dns::of(&net, &udp)?),
            _ => return None,
        };
        Some(Self { cards, content })
    }

    /// Returns the segment, if it is one.
    pub fn tcp(&self) -> Option<&Tcp> {
        match &self.content {
            Content::Tcp(tcp) => Some(tcp),
            Content::Arp(_) | Content::Dns(_) => None,
        }
    }

    /// Returns the header of IP, which ARP does not have.
    pub fn route(&self) -> Option<&Route> {
        match &self.content {
            Content::Tcp(tcp) => Some(&tcp.route),
            Content::Dns(dns) => Some(&dns.route),
            Content::Arp(_) => None,
        }
    }

    /// Returns the IP addresses: of sender and receiver, or of the one who asks by ARP and the one
    /// that is looked for.
    pub fn addresses(&self) -> [IpAddr; 2] {
        match &self.content {
            Content::Arp(arp) => [arp.sender.into(), arp.target.into()],
            Content::Tcp(Tcp { route, .. }) | Content::Dns(Dns { route, .. }) => {
                [route.source.ip(), route.destination.ip()]
            }
        }
    }

    /// Returns the name of its protocol.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Tcp(_) => "tcp",
            Content::Arp(_) => "arp",
            Content::Dns(_) => "dns",
        }
    }

    /// Returns what it says, in the words of tcpdump.
    pub fn about(&self) -> String {
        match &self.content {
            Content::Tcp(tcp) => format!("{} {}", tcp.flags.letters(), tcp.numbers()),
            Content::Arp(arp) if arp.is_request => {
                format!("who has {}? tell {}", arp.target, arp.sender)
            }
            Content::Arp(arp) => format!("{} is at {}", arp.sender, mac_text(arp.sender_mac)),
            Content::Dns(dns) => dns.about.clone(),
        }
    }
}

impl Tcp {
    fn of(net: &NetSlice<'_>, tcp: &TcpSlice<'_>) -> Option<Self> {
        Some(Self {
            route: Route::of(net, tcp.source_port(), tcp.destination_port())?,
            // Byte 13 of the header has the eight flags.
            flags: Flags(*tcp.header_slice().get(13)?),
            sequence: tcp.sequence_number(),
            acknowledgement: if tcp.ack() { tcp.acknowledgment_number() } else { 0 },
            length: tcp.payload().len() as u32,
        })
    }

    /// Returns the sequence numbers as tcpdump prints them, such as `seq 1:41 ack 1`.
    pub fn numbers(&self) -> String {
        let sequence = match self.length {
            0 => self.sequence.to_string(),
            length => format!("{}:{}", self.sequence, self.sequence.wrapping_add(length)),
        };
        let acknowledgement = self.flags.ack().then(|| format!(" ack {}", self.acknowledgement));
        format!("seq {sequence}{}", acknowledgement.unwrap_or_default())
    }
}

impl Route {
    fn of(net: &NetSlice<'_>, source_port: u16, destination_port: u16) -> Option<Self> {
        let (source, destination, ttl, identification) = match net {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                let ends = [header.source_addr(), header.destination_addr()].map(IpAddr::from);
                (ends[0], ends[1], header.ttl(), header.identification())
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header();
                let ends = [header.source_addr(), header.destination_addr()].map(IpAddr::from);
                (ends[0], ends[1], header.hop_limit(), 0)
            }
            NetSlice::Arp(_) => return None,
        };
        Some(Self {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
            ttl,
            identification,
        })
    }
}

impl Arp {
    fn of(arp: &ArpPacketSlice<'_>) -> Option<Self> {
        let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from);
        Some(Self {
            is_request: arp.operation() == ArpOperation::REQUEST,
            sender_mac: arp.sender_hw_addr().try_into().ok()?,
            sender: address(arp.sender_protocol_addr())?,
            target: address(arp.target_protocol_addr())?,
        })
    }
}

impl Dns {
    fn of(net: &NetSlice<'_>, udp: &UdpSlice<'_>) -> Option<Self> {
        let route = Route::of(net, udp.source_port(), udp.destination_port())?;
        if route.source.port() != DNS_PORT && route.destination.port() != DNS_PORT {
            return None;
        }
        let message = simple_dns::Packet::parse(udp.payload()).ok()?;
        let is_answer = message.has_flags(PacketFlag::RESPONSE);
        let question = message.questions.first()?;
        let asked_for = match question.qtype {
            QTYPE::TYPE(record) => format!("{record:?}"),
            other => format!("{other:?}"),
        };
        let asked = format!("{asked_for}? {}", question.qname);
        let addresses = message.answers.iter().filter_map(|record| match &record.rdata {
            RData::A(record) => Some(Ipv4Addr::from(record.address).to_string()),
            RData::AAAA(record) => Some(Ipv6Addr::from(record.address).to_string()),
            _ => None,
        });
        let about = match addresses.collect::<Vec<_>>().join(", ") {
            _ if !is_answer => asked,
            addresses if addresses.is_empty() => format!("{asked} has no address"),
            addresses => format!("{asked} {addresses}"),
        };
        let length = udp.payload().len() as u32;
        Some(Self { route, id: message.id(), is_answer, about, length })
    }
}

/// Returns the usual text of a card's address, such as `02:00:00:00:00:01`.
pub fn mac_text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use etherparse::{ArpEthIpv4Packet, EtherType, PacketBuilder};

    use super::*;

    const CLIENT: Mac = [2, 0, 0, 0, 0, 1];
    const ROUTER: Mac = [2, 0, 0, 0, 0, 2];

    fn route(source_port: u16, destination_port: u16, ttl: u8) -> Route {
        Route {
            source: SocketAddr::from(([10, 0, 1, 1], source_port)),
            destination: SocketAddr::from(([10, 0, 2, 1], destination_port)),
            ttl,
            identification: 0,
        }
    }

    #[test]
    fn a_segment_is_read_with_its_cards_addresses_flags_and_numbers() {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(CLIENT, ROUTER)
            .ipv4([10, 0, 1, 1], [10, 0, 2, 1], 63)
            .tcp(50_000, 8080, 1000, 512)
            .psh()
            .ack(77)
            .write(&mut frame, b"GET / HTTP/1.1\r\n\r\n")
            .unwrap();
        let packet = Packet::parse(&frame, Link::Ethernet).unwrap();
        assert_eq!(packet.cards, Some([CLIENT, ROUTER]));
        let expected = Tcp {
            route: route(50_000, 8080, 63),
            flags: Flags::of("P."),
            sequence: 1000,
            acknowledgement: 77,
            length: 18,
        };
        assert_eq!(packet.tcp(), Some(&expected));
        assert_eq!(packet.about(), "P. seq 1000:1018 ack 77");
    }

    #[test]
    fn a_segment_in_a_tunnel_has_no_cards() {
        let mut frame = Vec::new();
        PacketBuilder::ipv4([10, 0, 1, 1], [10, 0, 2, 1], 64)
            .tcp(50_000, 8080, 5, 512)
            .syn()
            .write(&mut frame, &[])
            .unwrap();
        let packet = Packet::parse(&frame, Link::Ip).unwrap();
        assert_eq!(packet.cards, None);
        assert_eq!(packet.about(), "S seq 5");
        assert_eq!(packet.tcp().unwrap().takes(), 1);
    }

    #[test]
    fn bytes_behind_the_end_of_a_short_packet_are_no_content() {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(CLIENT, ROUTER)
            .ipv4([10, 0, 1, 1], [10, 0, 2, 1], 64)
            .tcp(50_000, 8080, 5, 512)
            .ack(6)
            .write(&mut frame, &[])
            .unwrap();
        // Ethernet fills frames up to 60 bytes.
        frame.resize(60, 0);
        assert_eq!(Packet::parse(&frame, Link::Ethernet).unwrap().tcp().unwrap().length, 0);
    }

    #[test]
    fn arp_is_read_with_who_asks_and_what_for() {
        let mut frame = Vec::new();
        let arp = ArpEthIpv4Packet {
            operation: ArpOperation::REQUEST,
            sender_mac: CLIENT,
            sender_ipv4: [10, 0, 1, 1],
            target_mac: [0; 6],
            target_ipv4: [10, 0, 1, 254],
        };
        frame.extend(BROADCAST);
        frame.extend(CLIENT);
        frame.extend(EtherType::ARP.0.to_be_bytes());
        frame.extend(arp.to_bytes());
        let packet = Packet::parse(&frame, Link::Ethernet).unwrap();
        assert_eq!(packet.cards, Some([CLIENT, BROADCAST]));
        assert_eq!(packet.kind(), "arp");
        assert_eq!(packet.about(), "who has 10.0.1.254? tell 10.0.1.1");
    }

    #[test]
    fn a_question_for_a_name_and_its_answer_are_read() {
        use simple_dns::rdata::A;
        use simple_dns::{CLASS, Name, QCLASS, Question, ResourceRecord, TYPE};

        let name = Name::new("server.test").unwrap();
        let mut message = simple_dns::Packet::new_query(7);
        let question =
            Question::new(name.clone(), QTYPE::TYPE(TYPE::A), QCLASS::CLASS(CLASS::IN), false);
        message.questions.push(question);
        let udp = |message: &simple_dns::Packet<'_>, source, destination| {
            let mut frame = Vec::new();
            PacketBuilder::ethernet2(CLIENT, ROUTER)
                .ipv4([10, 0, 1, 1], [10, 0, 2, 1], 64)
                .udp(source, destination)
                .write(&mut frame, &message.build_bytes_vec().unwrap())
                .unwrap();
            Packet::parse(&frame, Link::Ethernet)
        };
        let query = udp(&message, 40_000, 53).unwrap();
        assert_eq!((query.kind(), &*query.about()), ("dns", "A? server.test"));
        let mut answer = message.clone().into_reply();
        let address = RData::A(A { address: u32::from(Ipv4Addr::new(10, 0, 2, 1)) });
        answer.answers.push(ResourceRecord::new(name, CLASS::IN, 60, address));
        let answer = udp(&answer, 53, 40_000).unwrap();
        assert_eq!(answer.about(), "A? server.test 10.0.2.1");
        assert!(udp(&message, 40_000, 5353).is_none());
    }

    #[test]
    fn what_is_no_packet_of_these_is_left_out() {
        for bytes in [&[][..], &[0; 5], &[0xff; 60]] {
            assert_eq!(Packet::parse(bytes, Link::Ethernet), None);
        }
    }

    #[test]
    fn flags_have_the_letters_of_tcpdump() {
        for letters in ["S", "S.", ".", "P.", "F.", "FP.", "R", "R.", "SEW"] {
            assert_eq!(Flags::of(letters).letters(), letters);
        }
    }
}
