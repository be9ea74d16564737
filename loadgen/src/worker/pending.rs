//! A request that has no response yet.

use crate::recorder::Age;

/// A request, from the moment at which it should be sent.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct PendingRequest {
    pub intended: u64,
    pub sent: u64,
    pub first_byte: Option<u64>,
    /// Bytes of the request that were written.
    pub written: usize,
    /// True if the request was begun within the measured part and has taken one of its tickets.
    pub has_ticket: bool,
    /// True if only the generator delays the request, because it has a connection or only has to
    /// make one, and its send lag is not recorded yet.
    pub lag_is_open: bool,
    /// Time at which the request began to need only a connection, until a connect for it begins,
    /// and the length of that wait.
    pub lacks_connection_since: Option<u64>,
    pub connect_wait: Option<u64>,
}

impl PendingRequest {
    /// Returns the age of the request at `now`.
    pub fn age(&self, now: u64) -> Age {
        let latency = now.saturating_sub(self.intended);
        let waits = self.lacks_connection_since.map(|since| now.saturating_sub(since));
        let response = latency.saturating_sub(waits.or(self.connect_wait).unwrap_or(0));
        Age { latency, response, count: 1 }
    }
}
