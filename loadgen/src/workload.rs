//! The load as data: the loop, the arrivals, and the lifetime of connections. No code path is named
//! after a combination of them.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::target::Request;

/// Intervals into which a run is divided, unless they would be shorter than [`SHORTEST_INTERVAL`]
/// or longer than [`LONGEST_INTERVAL`]. With this many, the check `steady-state` finds a change
/// that lasts for a quarter of the run.
const INTERVALS_PER_RUN: u32 = 20;

/// Shortest interval: twice the time by which a worker without a response may be late to notice the
/// end of an interval. A run of 300 ms has fifteen.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(20);

/// Longest interval: the usual resolution of an HdrHistogram log, and about as often as a person
/// wants to see a number change.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);

/// Rate of a slow client, unless another one is given: at 100 bytes per second, the request of a
/// browser takes some seconds.
pub const SLOW_BYTES_PER_S: f64 = 100.0;

/// Load that one run sends, and the length of the run.
///
/// Start from [`Workload::lasting`] or [`Workload::default`] and replace the fields that differ:
/// `Workload { connections: 8, ..Workload::lasting(until) }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Rule that decides when the next request is sent.
    pub pacing: Pacing,
    /// Connections that send requests, all at once.
    pub connections: usize,
    /// Requests per connection.
    pub lifetime: Lifetime,
    /// End that closes a connection after its last request; if the workload does not set it, the
    /// server. If it does, the result also counts the connections in `TIME_WAIT`: that takes
    /// milliseconds after the run, too long for the short slices of a gate.
    pub close: Option<Closer>,
    /// End of the measured part.
    pub until: Until,
    /// Length of the warm-up before the measured part: the same load, whose results are discarded.
    pub warmup: Duration,
    /// Time without a response after which a request is given up, together with its connection.
    pub timeout: Duration,
    /// Event loops, each on its own thread; connections are distributed evenly among them.
    pub threads: usize,
    /// Content of every request.
    pub request: Request,
    /// Further connections that are opened, send one request, and are then only held.
    pub idle: usize,
    /// Further connections of slow clients, which send the same request again and again.
    pub slow: usize,
    /// Bytes that each slow client sends, and reads, per second.
    pub slow_bytes_per_s: f64,
    /// Most connections that are opened per second; `None` for no limit.
    pub connect_rate: Option<f64>,
    /// Place of this generator among several that send one open loop together.
    pub share: Share,
    /// Length of the intervals after which workers hand over their results, see
    /// [`Workload::interval_of`].
    pub interval: Duration,
}

impl Workload {
    /// Returns true if the last request of a connection asks the server to close it.
    pub(crate) fn asks_to_close(&self) -> bool {
        self.close != Some(Closer::Client)
    }

    /// Returns the number of connections that a server holds at once.
    pub fn connections_at_once(&self) -> usize {
        self.connections.saturating_add(self.idle).saturating_add(self.slow)
    }

    /// Returns a closed loop over 64 persistent connections, with the interval that suits its
    /// length.
    pub fn lasting(until: Until) -> Self {
        Self {
            pacing: Pacing::Closed,
            connections: 64,
            lifetime: Lifetime::Persistent,
            close: None,
            until,
            warmup: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            threads: 1,
            request: Request::default(),
            idle: 0,
            slow: 0,
            slow_bytes_per_s: SLOW_BYTES_PER_S,
            connect_rate: None,
            share: Share::default(),
            interval: match until {
                Until::Elapsed(duration) => Self::interval_of(duration),
                // The length of such a run is not known.
                Until::Requests(_) | Until::Told => LONGEST_INTERVAL,
            },
        }
    }

    /// Returns the interval that suits a measured part of this length: one second, or a twentieth
    /// of a length below 20 s, so that a short run has intervals to compare, too. It is rounded up,
    /// so that no short interval is left over.
    pub fn interval_of(duration: Duration) -> Duration {
        let part_ns = duration.as_nanos().div_ceil(u128::from(INTERVALS_PER_RUN));
        let part = u64::try_from(part_ns).map_or(Duration::MAX, Duration::from_nanos);
        part.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
    }
}

/// The workload of `c10k load` without options: [`Workload::lasting`] for 10 seconds.
impl Default for Workload {
    fn default() -> Self {
        Self::lasting(Until::Elapsed(Duration::from_secs(10)))
    }
}

/// Rule that decides when a request is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pacing {
    /// Closed loop: every connection sends its next request as soon as it has its response.
    Closed,
    /// Open loop: requests are sent at the times of a schedule, no matter if responses have come.
    Open {
        /// Requests per second, all workers together.
        rate: f64,
        /// Spread of the requests over time.
        arrivals: Arrivals,
        /// Seed of random arrivals.
        seed: u64,
        /// Time before a send at which a worker stops sleeping and spins, because the kernel may be
        /// that late to wake it.
        spin: Duration,
    },
}

/// Spread of the requests of an open loop over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Even gaps.
    Constant,
    /// Poisson process: gaps are independent and exponentially distributed, as with many
    /// independent users.
    Poisson,
}

impl std::fmt::Display for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        })
    }
}

impl Pacing {
    /// Returns the requested number of requests per second; none in a closed loop.
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

/// Number of requests that a connection carries before it is closed and a new one is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// All requests of the run.
    Persistent,
    /// This many requests.
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
                format!(
                    "`{number}` is neither `short`, `persistent` nor a number of requests from 1"
                )
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

/// An end of a connection. The end that closes first keeps the connection in `TIME_WAIT` (RFC 9293,
/// section 3.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closer {
    /// The server; the last request asks it to close by `Connection: close`.
    Server,
    /// The generator, as soon as it has the last response.
    Client,
}

impl std::str::FromStr for Closer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "server" => Ok(Self::Server),
            "client" => Ok(Self::Client),
            other => Err(format!("`{other}` is neither `server` nor `client`")),
        }
    }
}

impl std::fmt::Display for Closer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
        })
    }
}

/// Place of a generator among several that send one open loop together, on other machines perhaps.
/// Each has its own `rate`, which is the same for all. A generator sends every `of`th request of
/// the whole schedule, beginning with request number `index`, so that together they send all of
/// it, and nothing twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Number of generators before this one.
    pub index: usize,
    /// Number of generators.
    pub of: usize,
}

/// The whole load, from one generator.
impl Default for Share {
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

/// End of the measured part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After this many requests were sent; warm-up requests do not count.
    Requests(u64),
    /// When the caller sets the run's `stop`: no further request begins, and the responses to those
    /// that were sent are awaited, in an open loop for a second at most. In a closed loop without a
    /// warm-up, every request that the server receives counts.
    Told,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_reported_every_second_and_a_short_one_in_twentieths() {
        let of = |ms| Workload::interval_of(Duration::from_millis(ms)).as_millis();
        assert_eq!([60_000, 20_000].map(of), [1000, 1000]);
        assert_eq!([10_000, 1_200, 600, 300].map(of), [500, 60, 30, 20]);
    }

    #[test]
    fn no_interval_is_shorter_than_a_worker_can_distinguish() {
        assert_eq!(Workload::interval_of(Duration::from_millis(100)), SHORTEST_INTERVAL);
        assert_eq!(Workload::interval_of(Duration::ZERO), SHORTEST_INTERVAL);
    }

    #[test]
    fn twenty_intervals_cover_a_short_run_of_any_length() {
        for ns in [500_000_001, 1_234_567_891, 9_999_999_999] {
            let duration = Duration::from_nanos(ns);
            let interval = Workload::interval_of(duration);
            assert!(
                interval * 20 >= duration && interval * 19 < duration,
                "{interval:?} of {duration:?}"
            );
        }
    }

    #[test]
    fn the_interval_follows_from_the_length() {
        let interval = |until| Workload::lasting(until).interval;
        assert_eq!(interval(Until::Elapsed(Duration::from_secs(2))), Duration::from_millis(100));
        assert_eq!(interval(Until::Requests(10)), Duration::from_secs(1));
        assert_eq!(Workload::default().interval, Duration::from_millis(500));
    }
}
