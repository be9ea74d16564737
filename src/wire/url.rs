//! An exchange with a server that runs already, seen from this machine: only the packets of the
//! one connection are kept, at the card that it uses.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use c10k_loadgen::{Request, Target};
use nix::net::if_::if_indextoname;

use super::capture::{Capture, Interest};
use super::client::Client;
use super::exchange::{Exchange, Requests};
use super::observation::{Observation, Pair, Point, Side};
use super::observe::{Observed, Play, Setting};
use super::packet::Link;
use super::place::Place;
use super::watch::Watch;
use crate::interrupt::Interrupt;

/// Remark of a capture without the server's calls.
const NO_SERVER_CALLS: &str =
    "The server of a URL runs already, so its system calls are not seen; name a model to see them.";

/// Performs the exchange with the first address of the target that takes part in it.
pub fn perform(target: &Target, exchange: &Exchange, interrupt: &Interrupt) -> Result<Observation> {
    let requests = Requests {
        ordinary: target.render(&Request::default(), false),
        last: target.render(&Request::default(), true),
    };
    let play = |client: &mut Client<'_>| exchange.play(client, &requests);
    let mut failure = None;
    for &address in &target.addresses {
        match perform_at(address, &play, interrupt) {
            Err(error) if !interrupt.happened() => failure = failure.or(Some(error)),
            outcome => return outcome,
        }
    }
    Err(failure.context("the host has no address")?)
}

fn perform_at(address: SocketAddr, play: &Play<'_>, interrupt: &Interrupt) -> Result<Observation> {
    let interest = Interest { servers: vec![address], everything_else: false };
    let captures = vec![Capture::start(interest)?];
    let watch = Watch::default();
    let setting = Setting {
        client: Place::Here,
        server: Place::Here,
        address,
        // The requests have it already.
        host: "",
        play,
        ends: true,
        interrupt,
    };
    let mut observed = setting.observe(&watch, captures)?;
    let pair = watch.connection(0).context("no connection was opened")?;
    let interface = keep_one_connection(&mut observed, pair)
        .context("no packet of the connection was captured; is the server in this network?")?;
    let point = point(interface, pair);
    let point_of = |_, of: u32| (of == interface).then_some(0);
    let mut observation = observed.into_observation(watch, vec![point], point_of);
    observation.no_server_calls = Some(NO_SERVER_CALLS.into());
    Ok(observation)
}

/// Keeps the packets of one connection, and returns the interface on which its first one was. A
/// bridge and its ports, for example, all see the same packets.
fn keep_one_connection(observed: &mut Observed, pair: Pair) -> Option<u32> {
    let packets = &mut observed.caught.first_mut()?.packets;
    packets.retain(|captured| captured.packet.tcp().is_some_and(|tcp| pair.sender(tcp).is_some()));
    packets.iter().min_by_key(|captured| captured.at_ns).map(|captured| captured.interface)
}

fn point(interface: u32, pair: Pair) -> Point {
    let name = if_indextoname(interface).ok().and_then(|name| name.into_string().ok());
    Point {
        name: Side::Client.name().into(),
        host: Side::Client.name().into(),
        interface: name.unwrap_or_else(|| format!("interface {interface}")),
        link: Link::Ethernet,
        mac: None,
        address: Some(pair.client.ip()),
    }
}
