//! Captures the packets of a network namespace, with the kernel's time of each.
//!
//! One packet socket sees all cards of the namespace, so that the frames of a router's two cards
//! come in their order. No program besides this one is needed, only the right `CAP_NET_RAW`, which
//! a process has in a namespace of its own.

use std::io::{ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::errno::Errno;
use nix::sys::socket::sockopt::{ReceiveTimestampns, RxqOvfl};
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use super::observation::now_ns;
use super::packet::{Content, Link, Packet};

/// All protocols (`ETH_P_ALL` in `linux/if_ether.h`).
const ALL_PROTOCOLS: u16 = 3;

/// Kinds of hardware (`linux/if_arp.h`) whose frames begin with the addresses of two cards.
const ETHERNET: u16 = 1;
const LOOPBACK: u16 = 772;

/// Packet that this namespace sends (`PACKET_OUTGOING` in `linux/if_packet.h`).
const OUTGOING: u8 = 4;

/// Capacity for one frame: more than the 64 KiB that the kernel hands to a card at once.
const FRAME_BYTES: usize = 128 << 10;

/// Most packets that are kept: a limit of memory, far above that of an exchange.
const MOST_PACKETS: usize = 20_000;

/// Capacity of the kernel for packets that are not read yet, as far as it allows that.
const QUEUE_BYTES: usize = 8 << 20;

/// Longest time until the kernel notes the times of packets. It takes some milliseconds.
const ARRIVAL_TIMES: Duration = Duration::from_secs(5);

/// Time between the arrival of a packet and its reading that shows which of both is noted.
const BEFORE_READING: Duration = Duration::from_micros(200);

/// Interval at which the end of the capture is looked for.
const LOOK_FOR_END: Duration = Duration::from_millis(10);

/// Packets that are kept.
#[derive(Debug, Clone)]
pub struct Interest {
    /// Addresses of the server: its TCP segments are kept.
    pub servers: Vec<SocketAddr>,
    /// True if ARP and DNS are kept, too: in a namespace of its own, all of it belongs to the
    /// exchange.
    pub everything_else: bool,
}

impl Interest {
    fn takes(&self, packet: &Packet) -> bool {
        match &packet.content {
            Content::Tcp(tcp) => {
                [tcp.route.source, tcp.route.destination].iter().any(|end| self.is_server(*end))
            }
            Content::Arp(_) | Content::Dns(_) => self.everything_else,
        }
    }

    fn is_server(&self, end: SocketAddr) -> bool {
        let canonical = |end: SocketAddr| (end.ip().to_canonical(), end.port());
        self.servers.iter().any(|server| canonical(*server) == canonical(end))
    }
}

/// A captured packet.
#[derive(Debug)]
pub struct Captured {
    /// Index of the interface in its namespace.
    pub interface: u32,
    pub link: Link,
    pub at_ns: u64,
    pub packet: Packet,
    pub bytes: Vec<u8>,
}

/// Result of a capture.
#[derive(Debug, Default)]
pub struct Caught {
    pub packets: Vec<Captured>,
    /// Number of packets for which the kernel had no capacity.
    pub lost: u32,
}

/// A capture that is under way. It ends when it is dropped, too.
#[derive(Debug)]
pub struct Capture {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Caught>>>,
}

impl Capture {
    /// Begins to capture in the namespace of the calling thread. Packets are captured from the
    /// return of this function on.
    ///
    /// # Errors
    /// When this process may not capture.
    pub fn start(interest: Interest) -> Result<Self> {
        let socket = open()?;
        await_arrival_times()?;
        let end = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&end);
        let read = move || read_until(&socket, &interest, &is_over);
        let thread = thread::Builder::new().name("capture".into()).spawn(read);
        Ok(Self { end, thread: Some(thread.context("cannot start a thread")?) })
    }

    /// Ends the capture with the packets that the kernel has seen up to now.
    pub fn finish(mut self) -> Result<Caught> {
        self.end.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("a capture ends once")?;
        thread.join().map_err(|_| anyhow!("the thread of a capture has failed"))?
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

fn open() -> Result<Socket> {
    let protocol = Protocol::from(i32::from(ALL_PROTOCOLS.to_be()));
    let socket = match Socket::new(Domain::PACKET, Type::RAW, Some(protocol)) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => bail!(
            "capturing packets here needs the right CAP_NET_RAW: run this as root, or capture a \
             model in place of a URL, for which a namespace of its own is made"
        ),
        socket => socket.context("cannot open a packet socket")?,
    };
    setsockopt(&socket, ReceiveTimestampns, &true).context("cannot ask for packet times")?;
    setsockopt(&socket, RxqOvfl, &1).context("cannot ask for lost packets")?;
    // As much as the kernel allows; it may be less.
    let _ = socket.set_recv_buffer_size(QUEUE_BYTES);
    socket.set_read_timeout(Some(LOOK_FOR_END))?;
    Ok(socket)
}

/// Waits until the kernel notes the time of each packet when it arrives. It begins with that a
/// moment after the first socket has asked for it. Until then, a packet gets the time at which it
/// is read, which is later than what it causes.
fn await_arrival_times() -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot use 127.0.0.1")?;
    socket.connect(socket.local_addr()?)?;
    setsockopt(&socket, ReceiveTimestampns, &true).context("cannot ask for packet times")?;
    let deadline = Instant::now() + ARRIVAL_TIMES;
    while Instant::now() < deadline {
        socket.send(&[0])?;
        let sent_ns = now_ns();
        thread::sleep(BEFORE_READING);
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut byte = [0];
        let mut parts = [IoSliceMut::new(&mut byte)];
        let fd = socket.as_raw_fd();
        let received = recvmsg::<()>(fd, &mut parts, Some(&mut control), MsgFlags::empty())?;
        if received.cmsgs()?.any(|message| {
            matches!(message, ControlMessageOwned::ScmTimestampns(time)
                if unix_ns(time).is_some_and(|at_ns| at_ns <= sent_ns))
        }) {
            return Ok(());
        }
    }
    bail!("the kernel does not note when packets arrive; nothing can be told of their times")
}

/// Reads packets until the capture ends, and then those that the kernel has already queued.
fn read_until(socket: &Socket, interest: &Interest, is_over: &AtomicBool) -> Result<Caught> {
    let mut caught = Caught::default();
    let mut buffer = vec![0; FRAME_BYTES];
    loop {
        let was_over = is_over.load(Ordering::Relaxed);
        let flags = if was_over { MsgFlags::MSG_DONTWAIT } else { MsgFlags::empty() };
        match receive(socket, &mut buffer, flags, &mut caught.lost) {
            Ok(Some(captured)) if interest.takes(&captured.packet) => {
                ensure!(
                    caught.packets.len() < MOST_PACKETS,
                    "the exchange has more than {MOST_PACKETS} packets; ask for a smaller response \
                     or for fewer requests"
                );
                caught.packets.push(captured);
            }
            Err(Errno::EAGAIN) if was_over => return Ok(caught),
            // A card that goes away reports that once, as `ENETDOWN`.
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => {}
            Err(error) => return Err(error).context("cannot read packets"),
        }
    }
}

/// Receives a frame; `None` if it is not shown. On the loopback interface each packet comes by
/// twice, when it is sent and when it is received, and the second is the one that is shown.
fn receive(
    socket: &Socket,
    buffer: &mut [u8],
    flags: MsgFlags,
    lost: &mut u32,
) -> nix::Result<Option<Captured>> {
    let mut control = nix::cmsg_space!(TimeSpec, u32);
    let mut parts = [IoSliceMut::new(buffer)];
    let received = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let length = received.bytes;
    let mut at_ns = None;
    for message in received.cmsgs()? {
        match message {
            ControlMessageOwned::ScmTimestampns(time) => at_ns = unix_ns(time),
            ControlMessageOwned::RxqOvfl(count) => *lost = count,
            _ => {}
        }
    }
    let (Some(from), Some(at_ns)) = (received.address, at_ns) else { return Ok(None) };
    if from.hatype() == LOOPBACK && from.pkttype() == OUTGOING {
        return Ok(None);
    }
    let link = match from.hatype() {
        ETHERNET | LOOPBACK => Link::Ethernet,
        _ => Link::Ip,
    };
    let bytes = buffer[..length].to_vec();
    let Some(packet) = Packet::parse(&bytes, link) else { return Ok(None) };
    let interface = u32::try_from(from.ifindex()).unwrap_or_default();
    Ok(Some(Captured { interface, link, at_ns, packet, bytes }))
}

fn unix_ns(time: TimeSpec) -> Option<u64> {
    let seconds = u64::try_from(time.tv_sec()).ok()?;
    Some(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec()).ok()?)
}
