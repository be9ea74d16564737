//! A connection as the workload counts it: its socket, its request, and the state of both.

use std::net::TcpStream;

use super::pending::PendingRequest;
use crate::connection::Connection;
use crate::workload::Lifetime;

/// One of the connections that the workload calls for at once. It may use many sockets over its
/// life.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub socket: Option<TcpStream>,
    pub state: State,
    pub response: Connection,
    /// The request that is to be sent or is under way.
    pub pending: Option<PendingRequest>,
    /// Index of its address among those of the target.
    pub address: usize,
    /// Requests that this socket may still carry.
    left: u64,
    /// Time of the `connect` call, and time until the connection was established.
    pub connect_began: u64,
    connect_took: Option<u64>,
    /// Failed attempts to connect in a row.
    pub failures: u32,
    pub was_established: bool,
    pub was_answered: bool,
    /// Requests of the measured part that were given to this connection, including the one that was
    /// in flight when the part began, if that one counts.
    pub asked: u64,
    /// True if it had no response yet when the measured part began.
    pub is_late: bool,
    /// Responses in the measured part, and the number of them with a good status.
    pub responses: u64,
    pub good_responses: u64,
    /// Number of good responses that are counted for an address already.
    shared_responses: u64,
}

impl Slot {
    /// Begins to connect to the address with this index.
    pub fn begin_connect(&mut self, address: usize, lifetime: Lifetime, began: u64) {
        self.address = address;
        self.state = State::Connecting;
        self.connect_began = began;
        self.connect_took = None;
        self.response = Connection::default();
        self.left = match lifetime {
            Lifetime::Persistent => u64::MAX,
            Lifetime::Requests(requests) => u64::from(requests.get()),
        };
    }

    /// Notes that the connection was established.
    pub fn established(&mut self, now: u64) {
        self.connect_took = Some(now - self.connect_began);
        // The state is no longer `Connecting`, so that a request that is sent at once does not
        // count the connection again.
        self.state = State::Free;
        self.was_established = true;
        self.failures = 0;
    }

    /// Notes that the connection could not be made. Returns the number of failed attempts in a row.
    pub fn connect_failed(&mut self) -> u32 {
        self.socket = None;
        self.state = State::Closed;
        self.failures += 1;
        self.failures
    }

    /// Takes the time until the connection was established, which one recorded request reports.
    pub fn take_connect_time(&mut self) -> Option<u64> {
        self.connect_took.take()
    }

    /// Takes the number of good responses since the last call.
    pub fn take_good_responses(&mut self) -> u64 {
        let before = std::mem::replace(&mut self.shared_responses, self.good_responses);
        self.good_responses - before
    }

    /// Returns true if the socket may carry only one more request.
    pub fn is_at_last_request(&self) -> bool {
        self.left == 1
    }

    /// Counts a request that the socket has carried. Returns true if it may carry no other.
    pub fn spend_request(&mut self) -> bool {
        self.left -= 1;
        self.left == 0
    }

    /// Returns true if the measured part had no request for it.
    pub fn is_never_asked(&self) -> bool {
        self.asked == 0 && self.pending.is_none() && self.failures == 0
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Has a request to send but no connection; waits for its turn to make one.
    #[default]
    Closed,
    Connecting,
    /// Waits for a response.
    Waiting,
    /// Waits for the schedule of an open loop; it has a connection, or makes one when a request
    /// comes.
    Free,
    /// Has had its first response and sends no further request until the warm-up begins.
    Held,
    /// Has nothing more to send.
    Done,
}
