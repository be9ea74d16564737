//! Source addresses of connections: a single address runs out of ports, and loopback has further
//! addresses.
//!
//! A connection occupies one port of its source address, and some connections still do so for a
//! minute after their end (`TIME_WAIT`). The kernel first gives every other port to connecting
//! sockets; after that, each search for one of the remaining ports takes longer than the last. So
//! only half of the ports of an address are used.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::Socket;

/// Most addresses in 127.0.0.0/8 that are used; with the default range, they suffice for 3.5
/// million connections.
const MAX_SOURCES: u32 = 250;

/// Number of ports in the default of `net.ipv4.ip_local_port_range`, for machines that do not
/// report theirs.
const DEFAULT_PORTS: usize = 28_232;

/// Source addresses of one worker.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Number of addresses in use; if it is one, the kernel chooses the address.
    count: u32,
    next: u32,
}

impl Sources {
    /// Creates the sources for this number of connections at once to `targets`, all workers
    /// together.
    pub fn new(targets: &[SocketAddr], connections: usize) -> Self {
        let needed =
            u32::try_from(connections.div_ceil(ephemeral_ports() / 2)).unwrap_or(MAX_SOURCES);
        let count = if targets.iter().any(has_many) { needed.clamp(1, MAX_SOURCES) } else { 1 };
        Self { count, next: 0 }
    }

    /// Adds a source address for `target`, because the addresses in use have run out of ports.
    /// Returns false if there is no further address.
    pub fn add(&mut self, target: SocketAddr) -> bool {
        let possible = has_many(&target) && self.count < MAX_SOURCES;
        self.count += u32::from(possible);
        possible
    }

    /// Binds a socket, which will connect to `target`, to the next source address.
    pub fn bind_next(&mut self, socket: &Socket, target: SocketAddr) -> io::Result<()> {
        if self.count == 1 || !has_many(&target) {
            return Ok(());
        }
        self.next = (self.next + 1) % self.count;
        let source = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + self.next);
        // With this option, binding chooses only the address, so that one port can serve several
        // destinations, and a port in `TIME_WAIT` can be used again (ip(7)).
        setsockopt(socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::from((source, 0)).into())
    }
}

/// Returns true if `target` can be reached from further source addresses: all of 127.0.0.0/8 is
/// this machine, while `::1` is a single address.
fn has_many(target: &SocketAddr) -> bool {
    target.is_ipv4() && target.ip().is_loopback()
}

/// Returns the number of ports that the kernel gives to connecting sockets, per source address.
pub fn ephemeral_ports() -> usize {
    let ports =
        port_range().map(|(first, last)| (usize::from(last) + 1).saturating_sub(first.into()));
    ports.filter(|&ports| ports >= 2).unwrap_or(DEFAULT_PORTS)
}

/// Returns the first of these ports: the kernel gives no port below it to a socket that asks for
/// none.
pub fn first_ephemeral_port() -> Option<u16> {
    port_range().map(|(first, _)| first)
}

fn port_range() -> Option<(u16, u16)> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut bounds = text.split_whitespace().filter_map(|bound| bound.parse().ok());
    Some((bounds.next()?, bounds.next()?))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::TcpListener;

    use super::*;

    fn loopback() -> SocketAddr {
        ([127, 0, 0, 1], 80).into()
    }

    #[test]
    fn many_connections_on_loopback_come_from_several_addresses() {
        assert_eq!(Sources::new(&[loopback()], 1000).count, 1);
        assert!(Sources::new(&[loopback()], ephemeral_ports()).count >= 2);
        let mut remote = Sources::new(&[([192, 0, 2, 1], 80).into()], 1_000_000);
        assert_eq!((remote.count, remote.add(([192, 0, 2, 1], 80).into())), (1, false));
    }

    #[test]
    fn of_two_addresses_the_one_with_further_sources_uses_them() {
        let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 80));
        let mut sources = Sources::new(&[v6, loopback()], ephemeral_ports());
        assert!(sources.count >= 2 && !sources.add(v6) && sources.add(loopback()));
        let socket = Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
        // Binding it to an IPv4 address would be an error.
        sources.bind_next(&socket, v6).unwrap();
    }

    #[test]
    fn added_addresses_are_used_in_turns() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut sources = Sources::new(&[address], 1);
        assert!(sources.add(address) && sources.add(address));
        let connect = |_| {
            let socket = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            sources.bind_next(&socket, address).unwrap();
            socket.connect(&address.into()).unwrap();
            socket.local_addr().unwrap().as_socket().unwrap().ip()
        };
        assert_eq!((0..6).map(connect).collect::<HashSet<_>>().len(), 3);
    }
}
