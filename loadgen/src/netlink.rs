//! Requests to the kernel over netlink sockets (`netlink(7)`), and its replies in parts.

use std::fmt::Debug;
use std::io;

use netlink_packet_core::{
    NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};
use netlink_sys::Socket;

/// Sends a request with these flags, besides the one of all requests.
///
/// # Errors
/// When the kernel does not take it.
pub fn send<M>(socket: &Socket, request: impl Into<NetlinkPayload<M>>, flags: u16) -> io::Result<()>
where
    M: NetlinkSerializable + Debug,
{
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), request.into());
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0).map(drop)
}

/// Calls `take` with each message of a reply. The kernel ends a reply with an acknowledgement or,
/// if the request lists something, with an end of its own.
///
/// # Errors
/// When the kernel refuses the request, or its reply can't be read.
pub fn receive<M>(socket: &Socket, mut take: impl FnMut(M)) -> io::Result<()>
where
    M: NetlinkDeserializable + Debug,
{
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let reply = NetlinkMessage::<M>::deserialize(rest).map_err(io::Error::other)?;
            // Messages are aligned to four bytes; a length of zero would never end.
            let length = (reply.header.length as usize).next_multiple_of(4).max(4);
            match reply.payload {
                NetlinkPayload::InnerMessage(message) => take(message),
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(answer) => {
                    return answer.code.map_or(Ok(()), |_| Err(answer.to_io()));
                }
                _ => {}
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}
