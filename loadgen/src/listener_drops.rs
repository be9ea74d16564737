//! Connection attempts that the listening sockets of the target dropped, from the kernel's socket
//! diagnostics (`sock_diag(7)`).
//!
//! The counters of `/proc/net/netstat` cover all listeners of the network namespace. Each socket
//! has a counter of its own, `sk_drops`, which a listener raises together with `ListenOverflows`
//! and with `ListenDrops` (`tcp_listendrop` in `include/net/tcp.h` of Linux). The kernel reports it
//! since Linux 4.7.

use std::net::SocketAddr;

use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetResponse, StateFlags};

use crate::addresses::canonical;
use crate::sock_diag;

/// A listening socket of this network namespace.
#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    drops: u64,
}

/// Returns the number of connection attempts that the listeners of `addresses` dropped since they
/// were created. `None` if the kernel does not report it, or if no socket listens there.
pub(crate) fn of(addresses: &[SocketAddr]) -> Option<u64> {
    let mut listeners = Vec::new();
    sock_diag::each(&StateFlags::LISTEN, &ExtensionFlags::SKMEMINFO, |socket| {
        listeners.extend(listener(socket));
    })
    .ok()?;
    drops(&listeners, addresses)
}

fn drops(listeners: &[Listener], addresses: &[SocketAddr]) -> Option<u64> {
    let serves =
        |listener: &&Listener| addresses.iter().any(|address| serves(listener, address, listeners));
    let drops = listeners.iter().filter(serves).map(|listener| listener.drops);
    drops.fold(None, |sum, drops| Some(sum.unwrap_or(0) + drops))
}

/// Returns true if connections to `address` arrive at `listener`: it has that address, or it
/// listens at all addresses and no other listener has that address. Several listeners serve an
/// address if they share a port.
fn serves(listener: &Listener, address: &SocketAddr, all: &[Listener]) -> bool {
    let has_it = |listener: &Listener| canonical(listener.address) == canonical(*address);
    let has_all =
        listener.address.port() == address.port() && listener.address.ip().is_unspecified();
    has_it(listener) || (has_all && !all.iter().any(has_it))
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
    fn a_listener_of_this_process_is_found_if_the_kernel_reports_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        if let Err(error) = sock_diag::each(&StateFlags::LISTEN, &ExtensionFlags::empty(), |_| {}) {
            eprintln!("not shown: this machine has no socket diagnostics: {error}");
            return;
        }
        assert_eq!(of(&[address]), Some(0));
        drop(listener);
        assert_eq!(of(&[address]), None);
    }
}
