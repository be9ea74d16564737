//! Connection attempts that the listening sockets of the target dropped, from the kernel's socket diagnostics
//! (`sock_diag(7)`).
//!
//! The counters of `/proc/net/netstat` are of all listeners of the network namespace. Each socket has a counter of its own,
//! `sk_drops`, which a listener raises with both `ListenOverflows` and `ListenDrops` (`tcp_listendrop` in
//! `include/net/tcp.h` of Linux); it is told since Linux 4.7.

use std::io;
use std::net::SocketAddr;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

/// A listening socket of this network namespace.
#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    drops: u64,
}

/// All that the listeners of `addresses` dropped since they were made; none where the kernel does not tell, or nobody
/// listens there.
pub(crate) fn of(addresses: &[SocketAddr]) -> Option<u64> {
    let mut listeners = listeners(AF_INET, SocketId::new_v4()).ok()?;
    listeners.extend(listeners_of_ipv6());
    drops(&listeners, addresses)
}

/// None on a machine without IPv6.
fn listeners_of_ipv6() -> Vec<Listener> {
    listeners(AF_INET6, SocketId::new_v6()).unwrap_or_default()
}

fn drops(listeners: &[Listener], addresses: &[SocketAddr]) -> Option<u64> {
    let serves = |listener: &&Listener| addresses.iter().any(|address| serves(listener, address, listeners));
    let drops = listeners.iter().filter(serves).map(|listener| listener.drops);
    drops.fold(None, |sum, drops| Some(sum.unwrap_or(0) + drops))
}

/// Whether connections to `address` come to `listener`: it has that address, or all of them where no other listener has
/// it. Several do where they share a port.
fn serves(listener: &Listener, address: &SocketAddr, all: &[Listener]) -> bool {
    let has_it = |listener: &Listener| canonical(listener.address) == canonical(*address);
    let has_all = listener.address.port() == address.port() && listener.address.ip().is_unspecified();
    has_it(listener) || (has_all && !all.iter().any(has_it))
}

/// An IPv6 socket may have an IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Asks the kernel, which has answered by the time that the question is sent.
fn listeners(family: u8, socket_id: SocketId) -> io::Result<Vec<Listener>> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.set_non_blocking(true)?;
    socket.send(&question(family, socket_id), 0)?;
    let mut listeners = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket)) => {
                    listeners.extend(listener(&socket));
                }
                NetlinkPayload::Done(_) => return Ok(listeners),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
            // Messages are aligned to four bytes; a length of zero would never end.
            let length = (message.header.length as usize).next_multiple_of(4).max(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn question(family: u8, socket_id: SocketId) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::SKMEMINFO,
        states: StateFlags::LISTEN,
        socket_id,
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn listener(socket: &InetResponse) -> Option<Listener> {
    let id = &socket.header.socket_id;
    let drops = socket.nlas.iter().find_map(|nla| match nla {
        Nla::MemInfo(memory) => Some(u64::from(memory.drops)),
        _ => None,
    });
    Some(Listener { address: SocketAddr::new(id.source_address, id.source_port), drops: drops? })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn of_these(listeners: &[(&str, u64)], addresses: &[&str]) -> Option<u64> {
        let listeners = listeners.iter().map(|&(address, drops)| {
            let address = address.parse().expect("it is an address");
            Listener { address, drops }
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
    fn listeners_that_share_a_port_count_together() {
        let shards = [("127.0.0.1:80", 1), ("127.0.0.1:80", 2), ("[::ffff:127.0.0.1]:80", 4)];
        assert_eq!(of_these(&shards, &["127.0.0.1:80"]), Some(7));
    }

    #[test]
    fn a_listener_of_this_process_is_found_where_the_kernel_tells() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        if let Err(error) = listeners(AF_INET, SocketId::new_v4()) {
            eprintln!("not shown: this machine has no socket diagnostics: {error}");
            return;
        }
        assert_eq!(of(&[address]), Some(0));
        drop(listener);
        assert_eq!(of(&[address]), None);
    }
}
