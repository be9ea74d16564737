//! Names in a network: a DNS server on one of its hosts, and a client that looks up one name.
//!
//! The server is `dnsmasq` where it is installed, since people know it, and otherwise a small one
//! of this project. Both know one name, and nothing of the machine's own names.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::dns;
use super::dnsmasq::{self, Dnsmasq};
use super::host::Host;
use super::responder::Responder;

/// Longest time for an answer. Inside of a machine it takes less than a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest time for a server to start.
const START_TIME: Duration = Duration::from_secs(10);

/// Time between two questions to a server that is starting.
const LOOK_TIME: Duration = Duration::from_millis(2);

/// A DNS server inside of a host. Dropping it ends the server; it also ends when the thread that
/// started it ends.
#[derive(Debug)]
pub struct Names(Server);

#[derive(Debug)]
enum Server {
    Dnsmasq(Dnsmasq),
    Own(#[expect(dead_code, reason = "it is kept for its end")] Responder),
}

impl Names {
    /// Starts a DNS server at the address of `host`, which answers that `name` has this address.
    /// When it returns, the server answers.
    ///
    /// # Errors
    /// When the name can't be one of a host, the host has no address, or the server does not start.
    pub fn serve(host: &Host, name: &str, address: Ipv4Addr) -> Result<Self> {
        dns::parse_name(name)?;
        let server = address_of(host)?;
        let started = match dnsmasq::find() {
            Some(program) => {
                Server::Dnsmasq(Dnsmasq::start(&program, host, server, name, address)?)
            }
            None => Server::Own(Responder::start(host, server, name, address)?),
        };
        Self(started).ready(host, server, name)
    }

    /// Waits until the server answers. The questions are asked on the host itself, so that no cable
    /// carries them.
    fn ready(mut self, host: &Host, server: Ipv4Addr, name: &str) -> Result<Self> {
        let deadline = Instant::now() + START_TIME;
        while let Err(error) = host.within(|| lookup(server, name))? {
            if let Server::Dnsmasq(dnsmasq) = &mut self.0 {
                dnsmasq.check()?;
            }
            if Instant::now() >= deadline {
                return Err(error.context("the DNS server did not start"));
            }
            thread::sleep(LOOK_TIME);
        }
        Ok(self)
    }
}

fn address_of(host: &Host) -> Result<Ipv4Addr> {
    let address = host.cards.iter().find_map(|card| card.address);
    address.with_context(|| format!("the {} has no address for a DNS server", host.name))
}

/// Looks up the address of a name: sends one question to `server`, and returns what it answers.
/// Both go over the network that the calling thread is in.
///
/// # Errors
/// When no answer comes within five seconds, or when the server knows no address of the name.
pub fn lookup(server: Ipv4Addr, name: &str) -> Result<Ipv4Addr> {
    let cannot = || format!("cannot look up `{name}` at {server}");
    let id = rand::random();
    let query = dns::query(id, name)?;
    let mut answer = [0; dns::LONGEST];
    let length = ask(server, &query, &mut answer).with_context(cannot)?;
    dns::address_in(&answer[..length], id).with_context(cannot)
}

/// Sends a message, and returns the length of the one that comes back.
fn ask(server: Ipv4Addr, query: &[u8], answer: &mut [u8]) -> Result<usize> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((server, dns::PORT))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let sent = socket.send(query)?;
    ensure!(sent == query.len(), "only {sent} bytes of the question were sent");
    Ok(socket.recv(answer)?)
}

#[cfg(test)]
mod tests {
    use super::super::{Network, Topology, enter_user_namespace};
    use super::*;

    const NAME: &str = "server.example";

    /// Makes a network; `None`, with a line, where this process may not.
    fn network(topology: Topology) -> Option<Network> {
        match enter_user_namespace() {
            Ok(()) => Some(Network::build(topology).unwrap()),
            Err(error) => {
                eprintln!("left out: {error:#}");
                None
            }
        }
    }

    /// Starts a server of each kind that this machine has, one after the other, and calls `check`.
    fn with_each_server(network: &Network, check: impl Fn(Server)) {
        let (host, server) = (network.server(), network.server_address());
        let responder = Responder::start(host, server, NAME, server).unwrap();
        check(Names(Server::Own(responder)).ready(host, server, NAME).unwrap().0);
        let Some(program) = dnsmasq::find() else {
            return eprintln!("dnsmasq is left out: it is not installed");
        };
        let dnsmasq = Dnsmasq::start(&program, host, server, NAME, server).unwrap();
        check(Names(Server::Dnsmasq(dnsmasq)).ready(host, server, NAME).unwrap().0);
    }

    #[test]
    fn a_client_looks_up_the_name_over_the_network() {
        let Some(network) = network(Topology::Routed) else { return };
        let server = network.server_address();
        with_each_server(&network, |_running| {
            let found = network.client().within(|| lookup(server, NAME)).unwrap();
            assert_eq!(found.unwrap(), server);
            let other = network.client().within(|| lookup(server, "other.example")).unwrap();
            other.unwrap_err();
        });
        // Both servers are gone, and with them their port.
        let names = Names::serve(network.server(), NAME, server).unwrap();
        drop(names);
        let refused = network.client().within(|| lookup(server, NAME)).unwrap();
        refused.unwrap_err();
    }

    #[test]
    fn dnsmasq_ends_with_the_thread_that_started_it() {
        let Some(network) = network(Topology::Loopback) else { return };
        let Some(program) = dnsmasq::find() else {
            return eprintln!("left out: dnsmasq is not installed");
        };
        let (host, server) = (network.server(), network.server_address());
        let mut dnsmasq = thread::scope(|scope| {
            let start = || {
                let dnsmasq = Dnsmasq::start(&program, host, server, NAME, server).unwrap();
                // It has come through all that it does to its own rights at its start.
                Names(Server::Dnsmasq(dnsmasq)).ready(host, server, NAME).unwrap()
            };
            scope.spawn(start).join().unwrap()
        });
        let Server::Dnsmasq(dnsmasq) = &mut dnsmasq.0 else { panic!("it is dnsmasq") };
        let deadline = Instant::now() + START_TIME;
        while dnsmasq.check().is_ok() {
            assert!(Instant::now() < deadline, "dnsmasq is still there");
            thread::sleep(LOOK_TIME);
        }
    }

    #[test]
    fn a_bystander_has_no_address_for_a_server_of_names() {
        let Some(network) = network(Topology::Hub) else { return };
        let bystander = network.hosts().iter().find(|host| host.name == "bystander").unwrap();
        let error = Names::serve(bystander, NAME, network.server_address()).unwrap_err();
        assert!(error.to_string().contains("no address"), "{error}");
    }
}
