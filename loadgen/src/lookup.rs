//! Lookup of the host of a URL: its addresses, each once and in the order in which connections use
//! them, and the time that the resolver took.
//!
//! The resolver is the system's (`getaddrinfo`), as in other programs: it reads `/etc/hosts`, asks
//! name servers, and sorts the addresses (RFC 6724). [`interleave`] then changes their order as RFC
//! 8305 says.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use url::{Host, Url};

/// Addresses of a host.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// At least one address.
    pub addresses: Vec<SocketAddr>,
    /// Time that the resolver took; `None` if the host is an address, which needs no lookup.
    pub took: Option<Duration>,
}

/// Resolves the host of a URL.
///
/// # Errors
/// When the resolver does not know the name, or knows no address of it.
pub(crate) fn look_up(url: &Url) -> io::Result<Lookup> {
    let is_name = matches!(url.host(), Some(Host::Domain(_)));
    let began = Instant::now();
    let found = url.socket_addrs(|| None)?;
    let took = is_name.then(|| began.elapsed());
    let addresses = interleave(&distinct(found));
    if addresses.is_empty() {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    Ok(Lookup { addresses, took })
}

/// Returns the addresses at which connections to `found` arrive, each once.
fn distinct(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for address in found.into_iter().map(destination) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Returns the address at which connections to `address` arrive. The unspecified address becomes
/// that of this machine: to the kernel both are the same, but [`Sources`](crate::source::Sources)
/// can add source addresses only for the explicit one.
fn destination(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(match address.ip().to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    });
    address
}

/// Alternates IPv6 and IPv4, beginning with the family of the first address (RFC 8305, section 4,
/// with a First Address Family Count of 1). The order within a family stays.
fn interleave(sorted: &[SocketAddr]) -> Vec<SocketAddr> {
    let begins_with_v6 = sorted.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        sorted.iter().partition(|address| address.is_ipv6() == begins_with_v6);
    let mut interleaved = Vec::new();
    for place in 0..first.len().max(second.len()) {
        interleaved.extend(first.get(place).into_iter().chain(second.get(place)));
    }
    interleaved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_one_that_the_resolver_prefers() {
        for (sorted, expected) in [
            (
                &["[fd00::1]:1", "[fd00::2]:1", "[fd00::3]:1", "192.0.2.1:1", "192.0.2.2:1"][..],
                &["[fd00::1]:1", "192.0.2.1:1", "[fd00::2]:1", "192.0.2.2:1", "[fd00::3]:1"][..],
            ),
            (
                &["192.0.2.2:1", "192.0.2.1:1", "[fd00::1]:1"],
                &["192.0.2.2:1", "[fd00::1]:1", "192.0.2.1:1"],
            ),
            (&["[fd00::2]:1", "[fd00::1]:1"], &["[fd00::2]:1", "[fd00::1]:1"]),
            (&[], &[]),
        ] {
            assert_eq!(interleave(&addresses(sorted)), addresses(expected));
        }
    }

    #[test]
    fn an_address_that_is_found_twice_is_used_once() {
        let found = addresses(&["[::1]:1", "127.0.0.1:1", "[::ffff:127.0.0.1]:1", "0.0.0.0:1"]);
        assert_eq!(distinct(found), addresses(&["[::1]:1", "127.0.0.1:1"]));
    }

    #[test]
    fn only_a_name_takes_time_to_look_up() {
        let took = |url: &str| look_up(&Url::parse(url).unwrap()).unwrap().took;
        assert!(took("http://localhost:1/").is_some());
        for literal in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://0x7f.1/"] {
            assert_eq!(took(literal), None, "{literal}");
        }
    }

    #[test]
    fn a_name_that_does_not_exist_is_an_error() {
        // The resolver does not know this name (RFC 6761, section 6.4).
        assert!(look_up(&Url::parse("http://c10k.invalid/").unwrap()).is_err());
    }
}
