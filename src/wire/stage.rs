//! An exchange with a model, in a network of its own: the server is started there, and stopped
//! when the exchange is over.

use std::ffi::OsString;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use c10k_servers::Entry;
use nix::net::if_::if_nametoindex;

use super::calls::Trace;
use super::capture::{Capture, Interest};
use super::client::Client;
use super::observation::{Observation, Point};
use super::observe::{Play, Setting};
use super::packet::Link;
use super::place::Place;
use super::watch::Watch;
use crate::interrupt::Interrupt;
use crate::network::names::{self, Names};
use crate::network::{Host, Network, Topology};
use crate::subject::{Program, RunningSubject, Settings, Subject};

/// Port of the server. In a namespace of its own every port is free, and a fixed one makes two
/// captures alike.
const PORT: u16 = 8080;

/// Name of the server, in the domain that is reserved for tests (RFC 6761).
pub const NAME: &str = "server.test";

/// Option of `c10k serve` without which a restart is possible at once.
const NO_REUSE_ADDRESS: &str = "--no-reuse-address";

/// An exchange with a model.
pub struct Stage<'a> {
    pub entry: &'static Entry,
    /// Further arguments of `c10k serve`.
    pub serve: Vec<String>,
    pub topology: Topology,
    pub play: &'a Play<'a>,
    /// True if the exchange is over when all its connections are.
    pub ends: bool,
    /// True if the server is started again after the exchange, without `SO_REUSEADDR`.
    pub restarts: bool,
    pub interrupt: &'a Interrupt,
}

/// Outcome of two restarts of a server at the same address: `None` if the server listened, or its
/// error.
#[derive(Debug, Clone, Default)]
pub struct Restart {
    pub without_reuse_address: Option<String>,
    pub with_reuse_address: Option<String>,
}

impl Stage<'_> {
    /// Builds the network, performs the exchange in it, and removes the network.
    pub fn perform(&self) -> Result<(Observation, Option<Restart>)> {
        let network = Network::build(self.topology)?;
        // The name server has to be there before the captures, which would show its start.
        let has_names = self.topology != Topology::Loopback;
        let _names = has_names
            .then(|| Names::serve(network.server(), NAME, network.server_address()))
            .transpose()?;
        let play = |client: &mut Client<'_>| {
            if has_names {
                names::lookup(network.server_address(), NAME)?;
            }
            (self.play)(client)
        };
        let program = Program::this()?;
        let trace = Trace::new();
        let watch = Watch::default();
        let prefix = trace.as_ref().map(Trace::prefix).unwrap_or_default();
        let running = self.start(&program, &network, &prefix, &[])?;
        let pid = running.pid();
        let setting = Setting {
            client: Place::Host(network.client()),
            server: Place::Host(network.server()),
            address: running.address(),
            host: &if has_names { format!("{NAME}:{PORT}") } else { running.address().to_string() },
            play: &play,
            ends: self.ends,
            interrupt: self.interrupt,
        };
        let observed = setting.observe(&watch, captures(&network, running.address())?)?;
        running.stop()?;
        let restart = self.restarts.then(|| self.restart(&program, &network));
        let cards = cards(&network)?;
        let points = cards.iter().map(|card| card.point.clone()).collect();
        let point_of = |host: usize, interface: u32| {
            cards.iter().position(|card| (card.host, card.interface) == (host, interface))
        };
        let ended_ns = observed.ended_ns;
        let mut observation = observed.into_observation(watch, points, point_of);
        match trace.and_then(|trace| trace.read(pid)) {
            Ok(calls) => {
                let calls = calls.into_iter().filter(|call| call.begin_ns <= ended_ns);
                observation.calls.extend(calls);
            }
            Err(reason) => observation.no_server_calls = Some(why_no_calls(&reason)),
        }
        observation.calls.sort_by_key(|call| call.begin_ns);
        Ok((observation, restart))
    }

    fn start(
        &self,
        program: &Program,
        network: &Network,
        prefix: &[OsString],
        further: &[&str],
    ) -> Result<RunningSubject> {
        let further = further.iter().map(|argument| (*argument).to_owned());
        let args = self.serve.iter().cloned().chain(further).collect();
        let settings = Settings {
            address: network.server_address().into(),
            port: PORT,
            host: Some(network.server()),
            prefix,
            interrupt: Some(self.interrupt),
            ..Settings::new(program, 1)
        };
        Subject::model(self.entry, args).start(&settings)
    }

    /// Starts the server at the same address, without `SO_REUSEADDR` and with it.
    fn restart(&self, program: &Program, network: &Network) -> Restart {
        let attempt = |further: &[&str]| {
            let started = self.start(program, network, &[], further);
            started.and_then(RunningSubject::stop).err().map(|error| refusal(&error))
        };
        Restart {
            without_reuse_address: attempt(&[NO_REUSE_ADDRESS]),
            with_reuse_address: attempt(&[]),
        }
    }
}

/// Returns the error of a server that could not listen, in its own words.
fn refusal(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.find("cannot listen").map_or(text.clone(), |begin| text[begin..].to_owned())
}

fn why_no_calls(reason: &anyhow::Error) -> String {
    match which::which("strace") {
        Ok(_) => format!("The server's calls are not shown: {reason:#}."),
        Err(_) => "Install strace to see the server's calls.".into(),
    }
}

/// Returns the hosts that have cards, which switches have not.
fn hosts(network: &Network) -> impl Iterator<Item = &Host> {
    network.hosts().iter().filter(|host| !host.cards.is_empty())
}

/// Begins to capture on every host.
fn captures(network: &Network, server: SocketAddr) -> Result<Vec<Capture>> {
    let interest = Interest { servers: vec![server], everything_else: true };
    hosts(network).map(|host| host.within(|| Capture::start(interest.clone()))?).collect()
}

/// A card, with the indices of its host and of its interface there.
struct Card {
    host: usize,
    interface: u32,
    point: Point,
}

/// Returns the cards of a network.
fn cards(network: &Network) -> Result<Vec<Card>> {
    let mut cards = Vec::new();
    for (index, host) in hosts(network).enumerate() {
        for card in &host.cards {
            let interface = host
                .within(|| if_nametoindex(card.name.as_str()))?
                .with_context(|| format!("there is no card {} any more", card.name))?;
            let point = Point {
                name: card.point.into(),
                host: host.name.into(),
                interface: card.name.clone(),
                link: Link::Ethernet,
                mac: Some(card.mac),
                address: card.address.map(Into::into),
            };
            cards.push(Card { host: index, interface, point });
        }
    }
    Ok(cards)
}
