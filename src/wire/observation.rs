//! What was observed of an exchange: packets at each card, calls of each side, and states of the
//! sockets. All times are those of one clock, in nanoseconds since 1970.

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use super::packet::{Link, Mac, Packet, Tcp};

/// End of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// Returns its name in texts and in JSON; the host of a topology that it is on has the same.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }

    /// Returns the other end.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// The two addresses of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    pub client: SocketAddr,
    pub server: SocketAddr,
}

impl Pair {
    /// Returns the address of a side.
    pub fn of(&self, side: Side) -> SocketAddr {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }

    /// Returns the side that sent a segment; `None` if it is of another connection.
    pub fn sender(&self, tcp: &Tcp) -> Option<Side> {
        let ends = (tcp.route.source, tcp.route.destination);
        Side::BOTH.into_iter().find(|side| ends == (self.of(*side), self.of(side.other())))
    }
}

/// A card at which packets were captured.
#[derive(Debug, Clone)]
pub struct Point {
    /// Its place, such as `router-client-side`.
    pub name: String,
    /// Host that has the card, such as `router`.
    pub host: String,
    /// Name of the interface.
    pub interface: String,
    pub link: Link,
    pub mac: Option<Mac>,
    pub address: Option<IpAddr>,
}

/// A packet, as one card saw it.
#[derive(Debug, Clone)]
pub struct Sighting {
    pub at_ns: u64,
    /// Index of the card.
    pub point: usize,
    pub packet: Packet,
    /// The whole frame.
    pub bytes: Vec<u8>,
}

/// A system call of one of the sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub side: Side,
    /// Index of the connection that it is about, if it names one.
    pub connection: Option<usize>,
    pub name: String,
    pub begin_ns: u64,
    pub end_ns: u64,
    /// Time by which it has ended for sure: strace's times of an end are some microseconds too
    /// early.
    pub ended_by_ns: u64,
    /// Its result, such as `41` or `-1 EAGAIN`.
    pub result: String,
}

/// A state of a socket that was read from the kernel, at the first of the readings that found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub at_ns: u64,
    pub side: Side,
    /// Index of the connection.
    pub connection: usize,
    /// Number of the state in the kernel; `None` if there was no such socket.
    pub state: Option<u8>,
}

/// All that was observed of an exchange.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    pub points: Vec<Point>,
    /// Packets in the order of time. Sequence numbers are relative to those of the SYN.
    pub sightings: Vec<Sighting>,
    /// Calls in the order in which they began.
    pub calls: Vec<Call>,
    pub readings: Vec<Reading>,
    /// Connections in the order in which the client opened them.
    pub connections: Vec<Pair>,
    /// Number of packets that the kernel could not keep for the capture.
    pub lost: u32,
    /// Reason why calls of the server were not observed.
    pub no_server_calls: Option<String>,
    /// Reason why states of sockets were not read.
    pub no_states: Option<String>,
    /// Further remarks, as sentences.
    pub notes: Vec<String>,
}

impl Observation {
    /// Returns the segments of its connections at the card of their sender, with connection and
    /// sender: each segment once, even if several cards saw it.
    pub fn sent(&self) -> impl Iterator<Item = Sent<'_>> {
        self.sightings.iter().filter_map(|sighting| {
            let tcp = sighting.packet.tcp()?;
            let of = |(index, pair): (usize, &Pair)| Some((index, pair.sender(tcp)?));
            let (connection, side) = self.connections.iter().enumerate().find_map(of)?;
            let is_at_sender = self.points[sighting.point].host == side.name();
            (self.points.len() == 1 || is_at_sender).then_some(Sent {
                at_ns: sighting.at_ns,
                connection,
                side,
                tcp,
            })
        })
    }

    /// Returns the time of the first packet.
    pub fn begin_ns(&self) -> u64 {
        self.sightings.first().map_or(0, |sighting| sighting.at_ns)
    }

    /// Returns the time from the first packet to `at_ns`, in microseconds; negative before it.
    pub fn since_begin_us(&self, at_ns: u64) -> f64 {
        (i128::from(at_ns) - i128::from(self.begin_ns())) as f64 / 1e3
    }

    /// Returns the last state of a socket that was read; `None` without one.
    pub fn last_reading(&self, connection: usize, side: Side) -> Option<&Reading> {
        let is_of = |reading: &&Reading| reading.connection == connection && reading.side == side;
        self.readings.iter().rev().find(is_of)
    }

    /// True if the server gives its operations to the kernel by `io_uring`. They are no system
    /// calls, so that operations which are not seen may still have been done.
    pub fn uses_io_uring(&self) -> bool {
        self.calls.iter().any(|call| call.name == "io_uring_enter")
    }

    /// Returns the side that closed a connection first, by a FIN or a reset.
    pub fn closed_first(&self, connection: usize) -> Option<Side> {
        let mut sent = self.sent().filter(|sent| sent.connection == connection);
        sent.find(|sent| sent.tcp.flags.fin() || sent.tcp.flags.reset()).map(|sent| sent.side)
    }
}

/// A segment at the card of its sender.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    pub at_ns: u64,
    pub connection: usize,
    pub side: Side,
    pub tcp: &'a Tcp,
}

/// Returns the time now, on the clock of the kernel's packet times and of strace.
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
