//! Requests, connections and bytes by their outcome: the counts of a run.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::AddAssign;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::example::KINDS;

/// Requests by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Requests {
    /// Requests that the workload called for.
    pub intended: u64,
    /// Requests that were written to a socket.
    pub sent: u64,
    /// Requests with a complete response of the right status and length.
    pub completed: u64,
    /// Completed requests whose response was a redirection; redirections are not followed.
    #[serde(default)]
    pub redirected: u64,
    /// Requests that ended with an error.
    pub failed: u64,
    /// Requests still without a response when the run ended.
    pub in_flight_at_end: u64,
    /// Requests that should have had a response or an error by the end of the run, and had neither.
    /// In an open loop, these are all requests without either, sent or not. In a closed loop, whose
    /// connections always have a request in flight, these are the requests that had waited longer
    /// than any answered one.
    #[serde(default)]
    pub never_answered: u64,
    /// Completed requests of an open loop whose response came after the measured part.
    #[serde(default)]
    pub answered_after_end: u64,
}

/// Connections by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Connections {
    /// Connections that the workload called for at once.
    pub requested: u64,
    /// Requested connections that were established at least once.
    pub established: u64,
    /// Requested connections that had at least one response.
    pub served: u64,
    /// Requested connections that were established and sent requests, but never had a response.
    pub starved: u64,
    /// Requested connections that never had a request to send: there were fewer requests than
    /// connections.
    #[serde(default)]
    pub never_asked: u64,
    /// All connections opened over the run; each short-lived one counts.
    pub opened_total: u64,
    /// Idle connections, which were only held open in the measured part.
    #[serde(default)]
    pub idle_established: u64,
    /// Idle connections that had their one response before the measured part.
    #[serde(default)]
    pub idle_answered: u64,
}

/// Failures by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Errors {
    /// Connections that could not be made.
    pub connect: u64,
    /// Connections that broke off with a request in flight.
    pub reset: u64,
    /// Requests without a response in time.
    pub timeout: u64,
    /// Responses of status 400 or above.
    pub status: u64,
    /// Responses that are not HTTP/1.1, or are longer than they said.
    pub protocol: u64,
}

impl Errors {
    /// Returns the number of all failures.
    pub fn total(&self) -> u64 {
        self.by_kind().iter().map(|(_, count)| count).sum()
    }

    /// Returns the number of failed requests whose time is not known. A request that timed out has
    /// an age.
    pub fn without_a_time(&self) -> u64 {
        self.reset + self.status + self.protocol
    }

    /// Returns the kinds by name, with their counts.
    pub fn by_kind(&self) -> [(&'static str, u64); 5] {
        let Self { connect, reset, timeout, status, protocol } = *self;
        let counts = [connect, reset, timeout, status, protocol];
        std::array::from_fn(|kind| (KINDS[kind], counts[kind]))
    }
}

/// Writes the kinds that occurred, such as `3 reset, 12 timeout`; `none` if there were none.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.by_kind().into_iter().filter(|(_, count)| *count > 0);
        let joined =
            kinds.map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ");
        f.write_str(if joined.is_empty() { "none" } else { &joined })
    }
}

impl AddAssign for Errors {
    fn add_assign(&mut self, other: Self) {
        self.connect += other.connect;
        self.reset += other.reset;
        self.timeout += other.timeout;
        self.status += other.status;
        self.protocol += other.protocol;
    }
}

/// Failures at one of several addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorsAt {
    /// Address of the failures.
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// Failures by kind.
    #[serde(flatten)]
    pub errors: Errors,
}

/// Writes the address and its failures, as in `::1: 3 connect`.
impl fmt::Display for ErrorsAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address.ip(), self.errors)
    }
}

/// Bytes that crossed the sockets in the measured part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bytes {
    /// Bytes from the server.
    pub read: u64,
    /// Bytes to the server.
    pub written: u64,
}

/// Lengths of response bodies, for responses that have a body by the rules of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bodies {
    /// Responses with a body, which may be empty: status 2xx except 204, to a method other than
    /// HEAD.
    pub counted: u64,
    /// Responses out of `counted` whose body was empty.
    pub empty: u64,
    /// Length of the shortest body, in bytes.
    pub shortest: u64,
    /// Length of the longest body, in bytes.
    pub longest: u64,
}

impl Bodies {
    /// Counts a body of this length in bytes.
    pub(crate) fn count(&mut self, bytes: u64) {
        *self += Self { counted: 1, empty: u64::from(bytes == 0), shortest: bytes, longest: bytes };
    }
}

impl AddAssign for Bodies {
    fn add_assign(&mut self, other: Self) {
        self.shortest = match (self.counted, other.counted) {
            (0, _) => other.shortest,
            (_, 0) => self.shortest,
            _ => self.shortest.min(other.shortest),
        };
        self.longest = self.longest.max(other.longest);
        self.counted += other.counted;
        self.empty += other.empty;
    }
}

/// Number of times that a connection was not made because the generator lacked a resource, over the
/// whole run, start-up included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GeneratorLimits {
    /// Out of file descriptors: the generator's own limit (EMFILE) or the machine's (ENFILE).
    pub descriptors: u64,
    /// Out of local ports (EADDRNOTAVAIL).
    pub ports: u64,
    /// Out of memory for sockets (ENOBUFS, ENOMEM).
    pub memory: u64,
}

impl GeneratorLimits {
    /// Counts an error if it shows such a limit.
    pub(crate) fn note(&mut self, error: &io::Error) {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::MFILE | Errno::NFILE) => self.descriptors += 1,
            Some(Errno::ADDRNOTAVAIL) => self.ports += 1,
            Some(Errno::NOBUFS | Errno::NOMEM) => self.memory += 1,
            _ => {}
        }
    }

    /// Returns the sum over all resources.
    pub fn total(&self) -> u64 {
        self.descriptors + self.ports + self.memory
    }
}

impl AddAssign for GeneratorLimits {
    fn add_assign(&mut self, other: Self) {
        self.descriptors += other.descriptors;
        self.ports += other.ports;
        self.memory += other.memory;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_generator_are_distinguished_from_errors_of_the_server() {
        let mut limits = GeneratorLimits::default();
        for errno in
            [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::CONNREFUSED]
        {
            limits.note(&errno.into());
        }
        limits.note(&io::ErrorKind::TimedOut.into());
        assert_eq!(limits, GeneratorLimits { descriptors: 2, ports: 1, memory: 1 });
    }

    #[test]
    fn bodies_are_counted_by_their_lengths() {
        let mut bodies = Bodies::default();
        let mut others = Bodies::default();
        for bytes in [7, 0, 9] {
            bodies.count(bytes);
        }
        others.count(3);
        bodies += Bodies::default();
        others += bodies;
        assert_eq!(others, Bodies { counted: 4, empty: 1, shortest: 0, longest: 9 });
    }

    #[test]
    fn errors_are_reported_by_their_kinds() {
        assert_eq!(
            Errors { timeout: 12, reset: 3, ..Errors::default() }.to_string(),
            "3 reset, 12 timeout"
        );
        assert_eq!(Errors::default().to_string(), "none");
    }
}
