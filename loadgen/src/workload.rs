//! What the generator sends, as data: the loop, the arrivals, the lifetime of connections. No code path is named after
//! a combination of them.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::target::Request;

/// What one run sends and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Whether the next request waits for an answer.
    pub pacing: Pacing,
    /// Connections that send requests, all at once.
    pub connections: usize,
    /// Requests per connection.
    pub lifetime: Lifetime,
    /// When the measured part ends.
    pub until: Until,
    /// Traffic before the measured part; it is sent like the rest and then forgotten.
    pub warmup: Duration,
    /// A request without an answer for this long is given up, and its connection with it.
    pub timeout: Duration,
    /// Event loops, each on a thread of its own; connections are dealt out to them evenly.
    pub threads: usize,
    /// What every request says.
    pub request: Request,
    /// Further connections that are opened and only held.
    pub idle: usize,
    /// Connections opened per second at the most; without it, as many as are called for.
    pub connect_rate: Option<f64>,
}

/// Whether a request waits for the answer to the one before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pacing {
    /// Closed loop: every connection sends its next request as soon as it has its answer.
    Closed,
    /// Open loop: requests are sent when a schedule says so, whether answers have come or not.
    Open {
        /// Requests per second, all workers together.
        rate: f64,
        /// How they are spread over time.
        arrivals: Arrivals,
        /// Seed of random arrivals.
        seed: u64,
        /// A worker sleeps until so long before a send and then spins: what the kernel may be late to wake it.
        spin: Duration,
    },
}

/// How the requests of an open loop are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// As a Poisson process: gaps are independent and exponentially distributed, as with many independent users.
    Poisson,
}

impl Pacing {
    /// Requests per second that were asked for; none in a closed loop.
    pub fn rate(&self) -> Option<f64> {
        match *self {
            Self::Closed => None,
            Self::Open { rate, .. } => Some(rate),
        }
    }
}

impl std::fmt::Display for Pacing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Open { .. } => f.write_str("open"),
        }
    }
}

/// How many requests a connection carries before it is closed and a new one opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// As many as the run has.
    Persistent,
    /// This many; the last one says `Connection: close`.
    Requests(NonZeroU32),
}

impl Lifetime {
    /// One request per connection.
    pub const SHORT: Self = Self::Requests(NonZeroU32::MIN);
}

impl std::str::FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "persistent" => Ok(Self::Persistent),
            "short" => Ok(Self::SHORT),
            number => number.parse().map(Self::Requests).map_err(|_| {
                format!("`{number}` is neither `short`, `persistent` nor a number of requests from 1")
            }),
        }
    }
}

impl std::fmt::Display for Lifetime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Persistent => f.write_str("persistent"),
            Self::SHORT => f.write_str("short"),
            Self::Requests(requests) => write!(f, "{requests}"),
        }
    }
}

/// When the measured part of a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After this many requests were sent; warm-up requests do not count.
    Requests(u64),
}
