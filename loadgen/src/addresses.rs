//! The addresses of a target, as a result tells them: a name may have several, and a server may answer at some only.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The addresses of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Addresses {
    /// Those that connections took turns at.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub used: Vec<SocketAddr>,
    /// Further ones of the same name, which did not answer before the run.
    pub left_out: Vec<LeftOut>,
}

/// An address that did not answer before the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// Which.
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// What it did instead, such as `refused`.
    pub reason: String,
}

/// The same address whichever socket has it: one of IPv6 may have an IPv4 address.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl LeftOut {
    /// For the error of a connection that was tried.
    pub(crate) fn new(address: SocketAddr, error: &io::Error) -> Self {
        let reason = match error.kind() {
            ErrorKind::ConnectionRefused => "refused".into(),
            ErrorKind::TimedOut | ErrorKind::WouldBlock => "did not answer in time".into(),
            ErrorKind::UnexpectedEof => "closed the connection without an answer".into(),
            _ => format!("cannot be reached ({error})"),
        };
        Self { address, reason }
    }
}

/// As in `address ::1 refused`.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} {}", self.address.ip(), self.reason)
    }
}
