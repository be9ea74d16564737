//! Closed connections to the target that the kernel still keeps in `TIME_WAIT`, by the end that
//! closed first: that end keeps them, for a minute on Linux (RFC 9293, section 3.6.1).

use std::net::SocketAddr;

use netlink_packet_sock_diag::inet::{ExtensionFlags, SocketId, StateFlags};

use crate::addresses::canonical;
use crate::measurement::TimeWait;
use crate::sock_diag;

/// Counts the sockets in `TIME_WAIT` of connections to `addresses`, which belong to this machine;
/// `None` if the kernel has no socket diagnostics.
pub(crate) fn of(addresses: &[SocketAddr]) -> Option<TimeWait> {
    let targets: Vec<SocketAddr> = addresses.iter().copied().map(canonical).collect();
    let mut held = TimeWait::default();
    sock_diag::each(&StateFlags::TIME_WAIT, &ExtensionFlags::empty(), |socket| {
        count(&socket.header.socket_id, &targets, &mut held);
    })
    .ok()?;
    Some(held)
}

fn count(socket: &SocketId, targets: &[SocketAddr], held: &mut TimeWait) {
    let is_target = |ip, port| targets.contains(&canonical(SocketAddr::new(ip, port)));
    held.server += u64::from(is_target(socket.source_address, socket.source_port));
    held.client += u64::from(is_target(socket.destination_address, socket.destination_port));
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant};

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
        let mut held = TimeWait::default();
        for socket in [socket(80, 5001), socket(80, 5002), socket(5003, 80), socket(81, 5004)] {
            count(&socket, &["127.0.0.1:80".parse().unwrap()], &mut held);
        }
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
        for (server_closes, expected) in
            [(true, TimeWait { server: 1, client: 0 }), (false, TimeWait { server: 1, client: 1 })]
        {
            let client = TcpStream::connect(address).unwrap();
            let (server, _) = listener.accept().unwrap();
            let (first, mut second) =
                if server_closes { (server, client) } else { (client, server) };
            drop(first);
            assert_eq!(second.read(&mut [0]).unwrap(), 0);
            drop(second);
            let deadline = Instant::now() + Duration::from_secs(5);
            while of(&[address]) != Some(expected) {
                assert!(Instant::now() < deadline, "{:?} in place of {expected:?}", of(&[address]));
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
