//! Closed connections to the target that the kernel still keeps in `TIME_WAIT`, by the end that
//! closed first: that end keeps them, for a minute on Linux (RFC 9293, section 3.6.1).

use std::net::SocketAddr;

use netlink_packet_sock_diag::inet::{ExtensionFlags, SocketId, StateFlags};

use crate::addresses::canonical;
use crate::measurement::TimeWait;
use crate::sock_diag;

/// Counts the sockets in `TIME_WAIT` of connections to `addresses`, which are of this machine; none
/// if the kernel does not report them.
pub(crate) fn of(addresses: &[SocketAddr]) -> Option<TimeWait> {
    let sockets = sock_diag::sockets(StateFlags::TIME_WAIT, ExtensionFlags::empty()).ok()?;
    let ids = sockets.iter().map(|socket| &socket.header.socket_id);
    Some(count(ids, addresses))
}

fn count<'a>(sockets: impl Iterator<Item = &'a SocketId>, addresses: &[SocketAddr]) -> TimeWait {
    let is_target = |ip, port| addresses.iter().any(|&target| canonical(target) == canonical((ip, port).into()));
    let mut held = TimeWait::default();
    for socket in sockets {
        held.server += u64::from(is_target(socket.source_address, socket.source_port));
        held.client += u64::from(is_target(socket.destination_address, socket.destination_port));
    }
    held
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn socket(source_port: u16, destination_port: u16) -> SocketId {
        SocketId {
            source_port,
            destination_port,
            source_address: "127.0.0.1".parse().unwrap(),
            destination_address: "::ffff:127.0.0.1".parse().unwrap(),
            ..SocketId::new_v4()
        }
    }

    #[test]
    fn the_end_whose_port_is_the_targets_is_the_server() {
        let sockets = [socket(80, 5001), socket(80, 5002), socket(5003, 80), socket(81, 5004)];
        let held = count(sockets.iter(), &["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(held, TimeWait { server: 2, client: 1 });
    }

    #[test]
    fn the_end_that_closes_first_is_the_one_that_keeps_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let Some(before) = of(&[address]) else {
            eprintln!("not shown: this machine has no socket diagnostics");
            return;
        };
        assert_eq!(before, TimeWait::default());
        let mut client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop(client);
        assert_eq!(of(&[address]), Some(TimeWait { server: 1, client: 0 }));
    }
}
