//! The ordinary exchange: one connection, one request or several, and an end by either side.

use std::fmt;

use anyhow::Result;
use c10k_reports::format::plural;

use super::client::Client;
use super::observation::Side;

/// Number of requests that one connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// One.
    Short,
    /// Several.
    Persistent,
}

impl Lifetime {
    /// Returns its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Persistent => "persistent",
        }
    }
}

/// Plan of an exchange.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub lifetime: Lifetime,
    /// Side that closes after the last response.
    pub closes: Side,
    pub requests: u32,
}

/// Bytes of a request: of an ordinary one, and of one that asks the server to close.
#[derive(Debug, Clone)]
pub struct Requests {
    pub ordinary: Vec<u8>,
    pub last: Vec<u8>,
}

impl Exchange {
    /// Plays the client's part.
    pub fn play(&self, client: &mut Client<'_>, requests: &Requests) -> Result<()> {
        let connection = client.connect()?;
        for number in 1..=self.requests {
            let asks_to_close = number == self.requests && self.closes == Side::Server;
            let request = if asks_to_close { &requests.last } else { &requests.ordinary };
            client.send(connection, request)?;
            client.receive(connection)?;
        }
        if self.closes == Side::Server {
            client.receive_end(connection)?;
        }
        client.close(connection);
        Ok(())
    }
}

/// Writes the exchange as a part of a sentence.
impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = plural(self.requests.into(), "request");
        let (lifetime, side) = (self.lifetime.name(), self.closes.name());
        write!(f, "{requests} on a {lifetime} connection that the {side} closes")
    }
}
