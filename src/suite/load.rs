//! Load of one workload: what it asks of the generator and of the server, with the axes of its
//! cells applied.

use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;

use c10k_loadgen::Workload;
use c10k_loadgen::workload::{Arrivals, Closer, Lifetime, Pacing};
use c10k_reports::format::plural;

use crate::network::Topology;

/// The requests of one workload, and the settings of its server.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Path of the requests.
    pub path: String,
    /// Workload of the generator; the runner fills in its times and threads.
    pub workload: Workload,
    /// Rate of an open loop as a share of the server's capacity, which only a gate measures.
    pub capacity_share: Option<f64>,
    /// Threads of the generator, if the suite sets their number.
    pub threads: Option<NonZeroUsize>,
    /// Workers of the server, if the suite sets their number.
    pub workers: Option<NonZeroUsize>,
    /// Threads of the server that run handlers, if the suite sets their number.
    pub handler_threads: Option<NonZeroUsize>,
    /// Length of the server's listen queue, if the suite sets it.
    pub backlog: Option<NonZeroUsize>,
    /// Processors of the server, if the suite sets their number.
    pub processors: Option<NonZeroUsize>,
    /// Network between generator and server, if the suite names one.
    pub topology: Option<Topology>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            workload: Workload::default(),
            capacity_share: None,
            threads: None,
            workers: None,
            handler_threads: None,
            backlog: None,
            processors: None,
            topology: None,
        }
    }
}

impl Load {
    /// Returns the number of connections that the server holds at once, idle and slow ones
    /// included.
    pub fn connections(&self) -> usize {
        self.workload.connections_at_once()
    }

    /// Returns the topology of the network that has to be made; `None` if generator and server
    /// talk over the loopback interface of this machine, which is there anyway.
    pub fn network(&self) -> Option<Topology> {
        self.topology.filter(|topology| *topology != Topology::Loopback)
    }

    /// Returns the address that the server listens on.
    pub fn server_address(&self) -> Ipv4Addr {
        self.topology.unwrap_or(Topology::Loopback).server_address()
    }
}

/// Writes the load as a sentence for the page.
impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Workload {
            pacing,
            connections,
            idle,
            slow,
            slow_bytes_per_s,
            lifetime,
            close,
            request,
            ..
        } = &self.workload;
        match *pacing {
            Pacing::Closed => write!(f, "Closed loop")?,
            Pacing::Open { rate, arrivals, .. } => {
                let arrivals = match arrivals {
                    Arrivals::Constant => "evenly spread",
                    Arrivals::Poisson => "Poisson arrivals",
                };
                write!(f, "Open loop at {rate} requests per second ({arrivals})")?;
            }
        }
        write!(f, " over {}", plural(*connections as u64, "connection"))?;
        match *lifetime {
            Lifetime::Persistent => write!(f, ", each kept open for the whole measurement")?,
            Lifetime::SHORT => write!(f, ", each used for one request")?,
            Lifetime::Requests(requests) => write!(f, ", each used for {requests} requests")?,
        }
        if *close == Some(Closer::Client) {
            write!(f, " and closed by the client")?;
        }
        if *idle > 0 {
            write!(f, ", beside {}", plural(*idle as u64, "idle connection"))?;
        }
        if *slow > 0 {
            write!(
                f,
                ", beside {} of {slow_bytes_per_s} bytes per second",
                plural(*slow as u64, "slow client")
            )?;
        }
        write!(f, "; every request is {} {}", request.method, self.path)?;
        if !request.body.is_empty() {
            write!(f, " with a body of {}", plural(request.body.len() as u64, "byte"))?;
        }
        self.fmt_limits(f)?;
        write!(f, ".")
    }
}

impl Load {
    /// Writes the settings that a suite makes beside the traffic itself.
    fn fmt_limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rate) = self.workload.connect_rate {
            write!(f, "; at most {rate} connections are opened per second")?;
        }
        if let Some(backlog) = self.backlog {
            write!(f, "; the listen backlog is {backlog}")?;
        }
        let counts = [
            (self.workers, "the server has", "worker"),
            (self.handler_threads, "the server has", "handler thread"),
            (self.processors, "the server has", "processor"),
            (self.threads, "the generator has", "thread"),
        ];
        for (count, who, what) in counts {
            if let Some(count) = count {
                write!(f, "; {who} {}", plural(count.get() as u64, what))?;
            }
        }
        self.topology.map_or(Ok(()), |topology| write!(f, "; {}", topology.describe()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_described_in_a_sentence() {
        let mut load = Load::default();
        load.workload.idle = 1000;
        load.workload.lifetime = Lifetime::SHORT;
        assert_eq!(
            load.to_string(),
            "Closed loop over 64 connections, each used for one request, beside 1,000 idle connections; every \
             request is GET /."
        );
        load.workload.close = Some(Closer::Client);
        assert!(
            load.to_string().contains("each used for one request and closed by the client, beside"),
            "{load}"
        );
        load.workload.close = None;
        load.workload.idle = 0;
        load.workload.lifetime = Lifetime::Persistent;
        load.workers = NonZeroUsize::new(8);
        assert!(
            load.to_string().ends_with("every request is GET /; the server has 8 workers."),
            "{load}"
        );
        load.handler_threads = NonZeroUsize::new(64);
        assert!(load.to_string().ends_with("; the server has 64 handler threads."), "{load}");
        load.topology = Some(Topology::Routed);
        let router = "; a router connects the networks of client and server.";
        assert!(load.to_string().ends_with(router), "{load}");
    }
}
