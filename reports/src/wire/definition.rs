//! A capture of `c10k wire` as it is shown: texts and their places, ready to be drawn.

/// A capture.
#[derive(Debug, Clone)]
pub struct Wire {
    /// What was captured, such as `epoll`.
    pub title: String,
    /// Time of the capture, as RFC 3339.
    pub date: String,
    /// The exchange in one sentence.
    pub lead: String,
    /// Restrictions that a reader must know.
    pub notes: Vec<String>,
    /// What happened, in sentences.
    pub story: Vec<String>,
    /// Packets between the two sockets.
    pub ladder: Ladder,
    /// Frames at each card, if there is more than one card.
    pub network: Option<Network>,
}

/// Packets between two sockets, in the order of time.
#[derive(Debug, Clone)]
pub struct Ladder {
    /// Name and address of the client.
    pub client: String,
    /// Name and address of the server.
    pub server: String,
    /// Rows from top to bottom.
    pub rows: Vec<Row>,
}

/// A row of a ladder: a packet, or a call between two packets.
#[derive(Debug, Clone)]
pub struct Row {
    /// Time since the first packet, in milliseconds.
    pub at: String,
    /// The client at this time.
    pub client: Beside,
    /// The server at this time.
    pub server: Beside,
    /// The packet, if the row is one.
    pub arrow: Option<Arrow>,
}

/// Text beside a packet, on the side of one socket.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// System call, with its result.
    pub call: String,
    /// State of the socket; in parentheses if it was not read from the kernel.
    pub state: String,
}

/// A packet.
#[derive(Debug, Clone)]
pub struct Arrow {
    /// True if the client sent it.
    pub to_server: bool,
    /// Flags in the letters of tcpdump, behind the number of the connection if there are several.
    pub flags: String,
    /// Sequence numbers.
    pub detail: String,
    /// True if it is a reset.
    pub is_reset: bool,
}

/// A network, and the frames that its cards saw.
#[derive(Debug, Clone)]
pub struct Network {
    /// Cards in their order from client to server.
    pub cards: Vec<Card>,
    /// Names of the devices that connect the cards of a segment, such as `switch`.
    pub segments: Vec<String>,
    /// Packets in the order of time.
    pub passages: Vec<Passage>,
}

/// A network card.
#[derive(Debug, Clone)]
pub struct Card {
    /// Short name, by which frames refer to it, such as `R1`.
    pub label: String,
    /// Host that has it.
    pub host: String,
    /// Index of its segment.
    pub segment: usize,
    /// Address of the card.
    pub mac: String,
    /// IP address; empty if it has none.
    pub address: String,
}

/// A packet on its way through the network.
#[derive(Debug, Clone)]
pub struct Passage {
    /// Protocol and content.
    pub about: String,
    /// The packet's frames: one for each segment that it crosses.
    pub frames: Vec<Frame>,
}

/// A frame in one segment.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Time since the first packet, in milliseconds, at the first card that saw it.
    pub at_ms: f64,
    /// Card that sent it: its label, or its address if it is unknown.
    pub source: String,
    /// Card that it is for: its label, `all`, or its address if it is unknown.
    pub destination: String,
    /// Time to live; ARP has none.
    pub ttl: Option<u8>,
    /// Indices of the cards that saw it, the sender first.
    pub seen: Vec<usize>,
}

impl Frame {
    /// Returns the addresses and the time to live, such as `C → R1 ttl 64`.
    pub fn text(&self) -> String {
        let ttl = self.ttl.map(|ttl| format!(" ttl {ttl}"));
        format!("{} → {}{}", self.source, self.destination, ttl.unwrap_or_default())
    }
}
