//! Networks of hosts and switches inside of this machine, made of network namespaces: two machines
//! with a network in between, without two machines.
//!
//! ```text
//! bridged   client ── switch ── server          hub   client ── hub ── server
//!                       │                                        │
//!                   bystander                                bystander
//!
//! routed    client ── switch ── router ── switch ── server
//! ```
//!
//! Each host, and each switch, is a network namespace, see [`Host`]; cables are pairs of virtual
//! interfaces, and a switch is a bridge. All of it exists only as long as this process, and the
//! interfaces of the machine itself stay as they are. [`enter_user_namespace`] gives an ordinary
//! user the right to it.

mod assembly;
mod dns;
mod dnsmasq;
mod host;
mod layout;
pub mod names;
mod privilege;
mod responder;
mod rtnetlink;
mod topology;

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use layout::Layout;

pub use host::Host;
pub use layout::Card;
pub use privilege::enter_user_namespace;
pub use topology::Topology;

/// A network between a client and a server. Dropping it removes it, once the processes and threads
/// inside of it have ended.
#[derive(Debug)]
pub struct Network {
    topology: Topology,
    /// Client, server and all others. A network of one host has only that one.
    hosts: Vec<Host>,
}

impl Network {
    /// Makes a network. When it returns, every card transmits, and no frame is on its way: each
    /// host still has to ask for the address of the next card (ARP).
    ///
    /// # Errors
    /// When this process may not make network namespaces, see [`enter_user_namespace`], or the
    /// kernel lacks what they need.
    pub fn build(topology: Topology) -> Result<Self> {
        let hosts = assembly::assemble(&Layout::of(topology))
            .with_context(|| format!("cannot make a network of the topology `{topology}`"))?;
        Ok(Self { topology, hosts })
    }

    /// Returns the host of the client.
    pub fn client(&self) -> &Host {
        self.host("client")
    }

    /// Returns the host of the server.
    pub fn server(&self) -> &Host {
        self.host("server")
    }

    /// Returns all hosts and switches.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Returns the address of the server.
    pub fn server_address(&self) -> Ipv4Addr {
        self.topology.server_address()
    }

    /// Returns the host of that name, or the only host there is.
    fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).unwrap_or(&self.hosts[0])
    }
}
