//! Interfaces, addresses and routes of one network namespace, through the kernel's own interface
//! (`rtnetlink(7)`): no `ip` program has to be installed.
//!
//! Each interface is kept silent. Without an IPv6 address, the kernel sends no router
//! solicitations and no reports of multicast groups; a bridge without spanning tree and without
//! multicast snooping sends nothing of its own.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use c10k_loadgen::netlink;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, BridgePortState, BridgeStpState, In6AddrGenMode,
    InetDevConf, InfoBridge, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoVeth,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;

use super::layout::Card;

/// Time after which a bridge forgets behind which port a card is, in the kernel's unit for users of
/// 10 ms: five minutes, the default.
const AGEING_TIME: u32 = 30_000;

/// A socket of one network namespace, whichever thread uses it.
#[derive(Debug)]
pub(super) struct Rtnetlink(Socket);

/// An interface as the kernel describes it.
#[derive(Debug)]
pub(super) struct Interface {
    pub index: u32,
    pub name: String,
    /// True if it transmits: it is up, and so is the other end of its cable. As a port of a
    /// bridge, it also forwards.
    pub is_ready: bool,
}

impl Rtnetlink {
    /// Opens a socket of the calling thread's namespace.
    pub fn open() -> io::Result<Self> {
        Ok(Self(Socket::new(NETLINK_ROUTE)?))
    }

    /// Adds a bridge. Frames pass at once: without spanning tree, its ports have nothing to learn
    /// first.
    pub fn add_bridge(&self, name: &str, learns: bool) -> io::Result<()> {
        let settings = vec![
            InfoBridge::StpState(BridgeStpState::Disabled),
            InfoBridge::ForwardDelay(0),
            // A bridge whose entries age at once learns nothing, and floods every frame.
            InfoBridge::AgeingTime(if learns { AGEING_TIME } else { 0 }),
            InfoBridge::MulticastSnooping(false),
        ];
        let name = LinkAttribute::IfName(name.to_owned());
        self.add_link(InfoKind::Bridge, InfoData::Bridge(settings), vec![name])
    }

    /// Adds a cable: a pair of interfaces. One end is the port `name` of the bridge, the other end
    /// is `card` in the namespace of its host.
    ///
    /// Segments that are larger than a frame of Ethernet pass it in one piece, and checksums of TCP
    /// and UDP are left unfinished, since nothing can be damaged on the way. Captures show both.
    pub fn add_cable(
        &self,
        name: &str,
        bridge: u32,
        card: &Card,
        host: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let mut peer = LinkMessage::default();
        peer.attributes = vec![
            LinkAttribute::IfName(card.name.clone()),
            LinkAttribute::Address(card.mac.to_vec()),
            LinkAttribute::NetNsFd(host.as_raw_fd()),
        ];
        let attributes =
            vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::Controller(bridge)];
        self.add_link(InfoKind::Veth, InfoData::Veth(InfoVeth::Peer(peer)), attributes)
    }

    /// Gives an interface no IPv6 address, not even the one that each interface has by default.
    pub fn silence(&self, index: u32) -> io::Result<()> {
        let without = vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)];
        let attributes = vec![LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(without)])];
        match self.change_link(index, LinkFlags::empty(), attributes) {
            // A machine without IPv6 has no such address.
            Err(error) if error.raw_os_error() == Some(Errno::EAFNOSUPPORT as i32) => Ok(()),
            changed => changed,
        }
    }

    /// Makes the host pass on packets that come in here and are for others.
    pub fn forward(&self, index: u32) -> io::Result<()> {
        let mut settings = InetDevConf::default();
        settings.forwarding = 1;
        let settings = vec![AfSpecInet::DevConfRequest(settings)];
        let attributes = vec![LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(settings)])];
        self.change_link(index, LinkFlags::empty(), attributes)
    }

    /// Sets flags of an interface, such as the one that switches it on.
    pub fn set(&self, index: u32, flags: LinkFlags) -> io::Result<()> {
        self.change_link(index, flags, Vec::new())
    }

    pub fn add_address(&self, index: u32, address: Ipv4Addr, prefix_length: u8) -> io::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = prefix_length;
        message.header.index = index;
        let address = IpAddr::V4(address);
        message.attributes =
            vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        self.add(RouteNetlinkMessage::NewAddress(message))
    }

    /// Adds the route to all other networks.
    pub fn add_default_route(&self, gateway: Ipv4Addr) -> io::Result<()> {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: AddressFamily::Inet,
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Static,
            scope: RouteScope::Universe,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        message.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway))];
        self.add(RouteNetlinkMessage::NewRoute(message))
    }

    /// Returns all interfaces of the namespace.
    pub fn interfaces(&self) -> io::Result<Vec<Interface>> {
        let mut interfaces = Vec::new();
        let all = RouteNetlinkMessage::GetLink(LinkMessage::default());
        self.exchange(all, NLM_F_DUMP, |reply| {
            if let RouteNetlinkMessage::NewLink(link) = reply {
                interfaces.push(Interface::from(link));
            }
        })?;
        Ok(interfaces)
    }

    /// Returns the number of the interface with this name.
    pub fn index_of(&self, name: &str) -> io::Result<u32> {
        let found = self.interfaces()?.into_iter().find(|interface| interface.name == name);
        found.map(|interface| interface.index).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn add_link(
        &self,
        kind: InfoKind,
        settings: InfoData,
        attributes: Vec<LinkAttribute>,
    ) -> io::Result<()> {
        let no_such_kind = format!("this kernel lacks it; load it with `modprobe {kind}`");
        let mut message = LinkMessage::default();
        message.attributes = attributes;
        let info = vec![LinkInfo::Kind(kind), LinkInfo::Data(settings)];
        message.attributes.push(LinkAttribute::LinkInfo(info));
        match self.add(RouteNetlinkMessage::NewLink(message)) {
            Err(error) if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => {
                Err(io::Error::other(no_such_kind))
            }
            added => added,
        }
    }

    fn add(&self, what: RouteNetlinkMessage) -> io::Result<()> {
        self.exchange(what, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |_| {})
    }

    fn change_link(
        &self,
        index: u32,
        flags: LinkFlags,
        attributes: Vec<LinkAttribute>,
    ) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = flags;
        message.header.change_mask = flags;
        message.attributes = attributes;
        self.exchange(RouteNetlinkMessage::SetLink(message), NLM_F_ACK, |_| {})
    }

    /// Sends a request, and calls `take` with each message of the reply.
    fn exchange(
        &self,
        request: RouteNetlinkMessage,
        flags: u16,
        take: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        netlink::send(&self.0, request, flags)?;
        netlink::receive(&self.0, take)
    }
}

impl From<LinkMessage> for Interface {
    fn from(link: LinkMessage) -> Self {
        let index = link.header.index;
        let mut name = String::new();
        let mut is_up = false;
        let mut forwards = true;
        for attribute in link.attributes {
            match attribute {
                LinkAttribute::IfName(found) => name = found,
                LinkAttribute::OperState(state) => is_up = state == State::Up,
                LinkAttribute::LinkInfo(info) => forwards = !info.iter().any(is_idle_port),
                _ => {}
            }
        }
        Self { index, name, is_ready: is_up && forwards }
    }
}

/// Returns true if this is about a port of a bridge that does not forward.
fn is_idle_port(info: &LinkInfo) -> bool {
    let LinkInfo::PortData(InfoPortData::BridgePort(port)) = info else { return false };
    port.iter().any(|part| {
        matches!(part, InfoBridgePort::State(state) if *state != BridgePortState::Forwarding)
    })
}
