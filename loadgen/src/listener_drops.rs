//! Connection attempts that the listening sockets of the target dropped, from the kernel's socket
//! diagnostics (`sock_diag(7)`).
//!
//! The counters of `/proc/net/netstat` cover all listeners of the network namespace. Each socket
//! has a counter of its own, `sk_drops`, which a listener raises together with `ListenOverflows`
//! and with `ListenDrops` (`tcp_listendrop` in `include/net/tcp.h` of Linux). The kernel reports it
//! since Linux 4.7.

use std::io;
use std::net::SocketAddr;

use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetResponse, StateFlags};

use crate::addresses::canonical;
use crate::sock_diag;

/// A listening socket of this network namespace.
#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    /// True if it takes no connections over IPv4, although it listens at `::`.
    is_v6_only: bool,
    drops: u64,
}

/// Returns the number of connection attempts that the listeners of `addresses` dropped since they
/// were created. `None` if the kernel does not report it, or if no socket listens there.
pub(crate) fn of(addresses: &[SocketAddr]) -> Option<u64> {
    drops(&listeners().ok()?, addresses)
}

fn listeners() -> io::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    sock_diag::each(&StateFlags::LISTEN, &ExtensionFlags::SKMEMINFO, |socket| {
        listeners.extend(listener(socket));
    })?;
    Ok(listeners)
}

fn drops(listeners: &[Listener], addresses: &[SocketAddr]) -> Option<u64> {
    let serves =
        |listener: &&Listener| addresses.iter().any(|address| serves(listener, address, listeners));
    let drops = listeners.iter().filter(serves).map(|listener| listener.drops);
    drops.fold(None, |sum, drops| Some(sum.unwrap_or(0) + drops))
}

/// Returns true if connections to `address` arrive at `listener`, because no other listener is
/// closer to that address. Several listeners are equally close if they share a port.
fn serves(listener: &Listener, address: &SocketAddr, all: &[Listener]) -> bool {
    let own = closeness(listener, address);
    own.is_some() && own == all.iter().filter_map(|other| closeness(other, address)).max()
}

/// Returns the rank of a listener in the kernel's choice for connections to `address`: a listener
/// at that address comes before one at all addresses of its family, and last comes one at `::`,
/// which also takes IPv4. `None` if it takes no such connections.
fn closeness(listener: &Listener, address: &SocketAddr) -> Option<u8> {
    let (own, address) = (listener.address, canonical(*address));
    if canonical(own) == address {
        return Some(2);
    }
    if own.port() != address.port() || !own.ip().is_unspecified() {
        return None;
    }
    match (own.is_ipv6(), address.is_ipv6()) {
        (true, false) => (!listener.is_v6_only).then_some(0),
        (false, true) => None,
        _ => Some(1),
    }
}

fn listener(socket: &InetResponse) -> Option<Listener> {
    let id = &socket.header.socket_id;
    let drops = socket.nlas.iter().find_map(|nla| match nla {
        Nla::MemInfo(memory) => Some(u64::from(memory.drops)),
        _ => None,
    });
    Some(Listener {
        address: SocketAddr::new(id.source_address, id.source_port),
        is_v6_only: socket.nlas.contains(&Nla::SkV6Only(true)),
        drops: drops?,
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::*;

    fn of_these(listeners: &[(&str, u64)], addresses: &[&str]) -> Option<u64> {
        let listeners = listeners.iter().map(|&(address, drops)| {
            let address = address.parse().expect("it is an address");
            Listener { address, is_v6_only: false, drops }
        });
        let addresses = addresses.iter().map(|address| address.parse().expect("it is an address"));
        drops(&listeners.collect::<Vec<_>>(), &addresses.collect::<Vec<_>>())
    }

    #[test]
    fn only_listeners_that_serve_the_address_count() {
        let all = [("127.0.0.1:80", 1), ("0.0.0.0:80", 2), ("127.0.0.1:81", 4), ("[::]:82", 8)];
        assert_eq!(of_these(&all, &["127.0.0.1:80"]), Some(1));
        assert_eq!(of_these(&all, &["127.0.0.2:80"]), Some(2));
        assert_eq!(of_these(&all, &["[::1]:82", "127.0.0.1:82"]), Some(8));
        assert_eq!(of_these(&all, &["127.0.0.1:83"]), None);
    }

    #[test]
    fn a_listener_at_all_addresses_of_one_family_does_not_serve_the_other() {
        let both = [("0.0.0.0:80", 1), ("[::]:80", 2), ("0.0.0.0:81", 4)];
        assert_eq!(of_these(&both, &["127.0.0.1:80"]), Some(1));
        assert_eq!(of_these(&both, &["[::1]:80"]), Some(2));
        assert_eq!(of_these(&both, &["127.0.0.1:80", "[::1]:80"]), Some(3));
        assert_eq!(of_these(&both, &["[::1]:81"]), None);
        let address = "[::]:80".parse().unwrap();
        let listener = |is_v6_only| Listener { address, is_v6_only, drops: 1 };
        let v4 = ["127.0.0.1:80".parse().unwrap()];
        assert_eq!(drops(&[listener(true)], &v4), None);
        assert_eq!(drops(&[listener(false)], &v4), Some(1));
    }

    #[test]
    fn listeners_that_share_a_port_count_together() {
        let shards = [("127.0.0.1:80", 1), ("127.0.0.1:80", 2), ("[::ffff:127.0.0.1]:80", 4)];
        assert_eq!(of_these(&shards, &["127.0.0.1:80"]), Some(7));
    }

    #[test]
    fn a_listener_of_this_process_is_found_if_the_kernel_reports_it() {
        if let Err(error) = sock_diag::each(&StateFlags::LISTEN, &ExtensionFlags::empty(), |_| {}) {
            eprintln!("not shown: this machine has no socket diagnostics: {error}");
            return;
        }
        for ip in ["127.0.0.1", "::1"] {
            let Ok(listener) = TcpListener::bind((ip, 0)) else {
                eprintln!("not shown: this machine has no {ip}");
                continue;
            };
            let address = listener.local_addr().unwrap();
            assert_eq!(of(&[address]), Some(0));
            drop(listener);
            assert_eq!(of(&[address]), None);
        }
    }

    #[test]
    fn the_kernel_reports_listeners_that_leave_ipv4_to_others() {
        if Socket::new(Domain::IPV6, Type::STREAM, None).is_err() {
            eprintln!("not shown: this machine has no IPv6");
            return;
        }
        for is_v6_only in [true, false] {
            let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
            socket.set_only_v6(is_v6_only).unwrap();
            socket.bind(&"[::]:0".parse::<SocketAddr>().unwrap().into()).unwrap();
            socket.listen(1).unwrap();
            let address = socket.local_addr().unwrap().as_socket().unwrap();
            match listeners() {
                Ok(all) => {
                    let own = all.iter().find(|listener| listener.address == address);
                    assert_eq!(own.map(|own| own.is_v6_only), Some(is_v6_only));
                }
                Err(error) => {
                    eprintln!("not shown: this machine has no socket diagnostics: {error}");
                }
            }
        }
    }
}
