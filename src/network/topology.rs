//! Topologies: the shapes that a network between a client and a server can have.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error};
use clap::ValueEnum;

/// Shape of a network between a client and a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Topology {
    /// One host, whose two ends talk over its loopback interface
    Loopback,
    /// Client and server at one switch
    Bridged,
    /// Client and server in two networks, with a router between their switches
    Routed,
    /// Client and server at a hub, which sends every frame to every card
    Hub,
}

impl Topology {
    /// Returns the name in suites and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Bridged => "bridged",
            Self::Routed => "routed",
            Self::Hub => "hub",
        }
    }

    /// Returns the names of all topologies.
    pub fn names() -> Vec<&'static str> {
        Self::value_variants().iter().map(|topology| topology.name()).collect()
    }

    /// Describes the place of client and server, as a part of a sentence.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Loopback => "client and server talk over loopback",
            Self::Bridged => "a switch connects client and server",
            Self::Routed => "a router connects the networks of client and server",
            Self::Hub => "a hub connects client and server",
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Topology {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::value_variants().iter().find(|topology| topology.name() == text);
        found.copied().with_context(|| {
            format!("there is no topology `{text}`; write one of {}", Self::names().join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topology_is_found_by_the_name_that_it_shows() {
        for topology in Topology::value_variants() {
            assert_eq!(topology.to_string().parse::<Topology>().unwrap(), *topology);
            let on_the_command_line = topology.to_possible_value().unwrap();
            assert_eq!(on_the_command_line.get_name(), topology.name());
        }
        let error = "ring".parse::<Topology>().unwrap_err().to_string();
        assert!(error.contains("`ring`") && error.contains("routed, hub"), "{error}");
    }
}
