//! Sockets of other processes: the kernel's socket diagnostics (`sock_diag(7)`) look one connection
//! up, where `/proc/net/tcp` would list all of the machine's.

use std::io;
use std::net::SocketAddr;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, IPPROTO_TCP, TCP_ESTABLISHED};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

/// Socket with any cookie (`INET_DIAG_NOCOOKIE` in `linux/inet_diag.h`).
const ANY_COOKIE: [u8; 8] = [0xff; 8];

/// Returns true if the kernel has a socket at `local` that is connected to `remote`, and neither
/// end has been closed. Both are addresses of IPv4.
pub fn is_established(local: SocketAddr, remote: SocketAddr) -> bool {
    state(local, remote).expect("the kernel has socket diagnostics") == Some(TCP_ESTABLISHED)
}

/// Returns the state of the socket at `local` that is connected to `remote`; `None` if there is
/// none. A socket that listens at `local` is found if there is no other.
fn state(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u8>> {
    let socket_id = SocketId {
        source_port: local.port(),
        destination_port: remote.port(),
        source_address: local.ip(),
        destination_address: remote.ip(),
        interface_id: 0,
        cookie: ANY_COOKIE,
    };
    let request = InetRequest {
        family: AF_INET,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id,
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.send(&bytes, 0)?;
    let (reply, _) = socket.recv_from_full()?;
    let reply = NetlinkMessage::<SockDiagMessage>::deserialize(&reply).map_err(io::Error::other)?;
    match reply.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => {
            Ok(Some(found.header.state))
        }
        NetlinkPayload::Error(error) if error.to_io().kind() == io::ErrorKind::NotFound => Ok(None),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        other => Err(io::Error::other(format!("an unexpected reply: {other:?}"))),
    }
}
