//! The kernel's socket diagnostics, as `ss` reads them (`sock_diag(7)`): the TCP sockets of this
//! network namespace.

use std::io;
use std::net::SocketAddr;

use netlink_packet_core::{NLM_F_DUMP, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use crate::addresses::canonical;
use crate::netlink;

/// Socket with any cookie (`INET_DIAG_NOCOOKIE` in `linux/inet_diag.h`).
const ANY_COOKIE: [u8; 8] = [0xff; 8];

/// Calls `take` with each socket in one of `states`, of IPv4 and, if the machine has it, of IPv6.
///
/// # Errors
/// When the kernel has no socket diagnostics.
pub(crate) fn each(
    states: &StateFlags,
    extensions: &ExtensionFlags,
    mut take: impl FnMut(&InetResponse),
) -> io::Result<()> {
    let request = |family, socket_id| InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: extensions.clone(),
        states: states.clone(),
        socket_id,
    };
    ask(request(AF_INET, SocketId::new_v4()), &mut take)?;
    // A machine without IPv6 has no such sockets.
    let _ = ask(request(AF_INET6, SocketId::new_v6()), &mut take);
    Ok(())
}

/// Returns the state of the socket at `local` that is connected to `remote`, by its number in the
/// kernel (`TCP_ESTABLISHED` is 1); `None` if there is none. If only a socket that listens at
/// `local` exists, that one is found. The kernel looks up this one socket and does not list all.
///
/// # Errors
/// When the kernel has no socket diagnostics.
pub fn state(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u8>> {
    let interface_id = match local {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    };
    // A socket of IPv6 that is connected over IPv4 is found by its IPv4 addresses.
    let [local, remote] = [local, remote].map(canonical);
    let socket_id = SocketId {
        source_port: local.port(),
        destination_port: remote.port(),
        source_address: local.ip(),
        destination_address: remote.ip(),
        interface_id,
        cookie: ANY_COOKIE,
    };
    let request = InetRequest {
        family: if local.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id,
    };
    let (reply, _) = send(request, 0)?.recv_from_full()?;
    let reply = NetlinkMessage::<SockDiagMessage>::deserialize(&reply).map_err(io::Error::other)?;
    match reply.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket)) => {
            Ok(Some(socket.header.state))
        }
        NetlinkPayload::Error(error) if error.to_io().kind() == io::ErrorKind::NotFound => Ok(None),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Asks the kernel for sockets. Each part of its reply is ready when it is read.
fn ask(request: InetRequest, take: &mut impl FnMut(&InetResponse)) -> io::Result<()> {
    netlink::receive(&send(request, NLM_F_DUMP)?, |message| {
        if let SockDiagMessage::InetResponse(socket) = message {
            take(&socket);
        }
    })
}

/// Sends a request, and returns the socket from which the reply can be read at once.
fn send(request: InetRequest, flags: u16) -> io::Result<Socket> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.set_non_blocking(true)?;
    netlink::send(&socket, SockDiagMessage::InetRequest(request), flags)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Numbers of the kernel (`net/tcp_states.h`).
    const ESTABLISHED: u8 = 1;
    const LISTEN: u8 = 10;

    /// Checks the state of both ends of a connection from `client` to a listener at `address`.
    fn check(address: &str, client: &str) {
        let Ok(listener) = TcpListener::bind(address) else {
            return eprintln!("not shown: this machine has no {address}");
        };
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((client, port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        let [near, far] = [client.local_addr().unwrap(), server.local_addr().unwrap()];
        if let Err(error) = state(near, far) {
            return eprintln!("not shown: this machine has no socket diagnostics: {error}");
        }
        let mapped = server.peer_addr().unwrap();
        assert_eq!(state(near, far).unwrap(), Some(ESTABLISHED), "{near} to {far}");
        assert_eq!(state(far, mapped).unwrap(), Some(ESTABLISHED), "{far} to {mapped}");
        let nobody = SocketAddr::new(near.ip(), 1);
        assert_eq!(state(far, nobody).unwrap(), Some(LISTEN), "{far}");
    }

    #[test]
    fn a_connection_of_either_family_is_found() {
        check("127.0.0.1:0", "127.0.0.1");
        check("[::1]:0", "::1");
        check("[::]:0", "127.0.0.1");
    }
}
