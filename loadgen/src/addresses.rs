//! Addresses of a target, as reported with a result: a name may have several, and a server may
//! answer at only some of them.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Addresses of the target, used or left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Addresses {
    /// Addresses that connections used in turn, in this order.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub used: Vec<SocketAddr>,
    /// Further addresses of the same name, which did not answer before the run.
    pub left_out: Vec<LeftOut>,
    /// Part of each used address in the run; empty in records that are older than this field.
    #[serde(default)]
    pub shares: Vec<Share>,
}

/// Part of an address in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Share {
    /// The address.
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// Connections opened to it over the whole run, each one counted, idle and slow ones left out.
    pub connections: u64,
    /// Completed requests of the measured part.
    pub requests: u64,
}

/// An address that did not answer before the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// The address.
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// Outcome of the attempt, such as `refused`.
    pub reason: String,
}

/// Returns the address in the same form for every socket: an IPv6 socket may have an IPv4 address.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl Share {
    /// Returns the shares of `addresses` before a run.
    pub(crate) fn none_yet(addresses: &[SocketAddr]) -> Vec<Self> {
        let share = |&address| Self { address, connections: 0, requests: 0 };
        addresses.iter().map(share).collect()
    }

    /// Adds the shares of another worker, whose addresses are the same.
    pub(crate) fn add_all(shares: &mut [Self], others: &[Self]) {
        for (share, other) in shares.iter_mut().zip(others) {
            share.connections += other.connections;
            share.requests += other.requests;
        }
    }
}

impl LeftOut {
    /// Creates the entry of an address from the error of an attempt to connect.
    pub(crate) fn new(address: SocketAddr, error: &io::Error) -> Self {
        let reason = match error.kind() {
            ErrorKind::ConnectionRefused => "refused".into(),
            ErrorKind::TimedOut | ErrorKind::WouldBlock => "did not answer in time".into(),
            ErrorKind::UnexpectedEof => "closed the connection without a response".into(),
            _ => format!("cannot be reached ({error})"),
        };
        Self { address, reason }
    }
}

/// Writes the address and the reason, as in `address ::1 refused`.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} {}", self.address.ip(), self.reason)
    }
}
