//! Observes an exchange: watches sockets while the client plays its part, and ends the captures
//! before the client lets go of its sockets.

use std::mem;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::capture::{Capture, Captured, Caught};
use super::client::Client;
use super::observation::{Call, Observation, Point, Side, Sighting, now_ns};
use super::place::Place;
use super::relative::relative;
use super::watch::Watch;
use crate::interrupt::Interrupt;

/// Time that both sides may take to close, once the client has done its part.
const END_TIME: Duration = Duration::from_secs(2);

/// The client's part of an exchange.
pub type Play<'a> = dyn Fn(&mut Client<'_>) -> Result<()> + Sync + 'a;

/// Exchange that is about to be observed.
pub struct Setting<'a> {
    pub client: Place<'a>,
    pub server: Place<'a>,
    pub address: SocketAddr,
    /// Name of the server in requests.
    pub host: &'a str,
    pub play: &'a Play<'a>,
    /// True if the exchange is over when all its connections are.
    pub ends: bool,
    pub interrupt: &'a Interrupt,
}

/// Raw results of an exchange.
#[derive(Debug)]
pub struct Observed {
    pub calls: Vec<Call>,
    /// What was caught by each capture, in their order.
    pub caught: Vec<Caught>,
    /// End of the captures. What the server does later answers the end of the client.
    pub ended_ns: u64,
    /// True if some connection was not over when the capture ended, although it should have been.
    pub is_unfinished: bool,
}

impl Setting<'_> {
    /// Plays the exchange, and observes it.
    pub fn observe(&self, watch: &Watch, captures: Vec<Capture>) -> Result<Observed> {
        let watchers = if self.client.is_same(self.server) {
            vec![(self.client, &Side::BOTH[..])]
        } else {
            vec![(self.client, &Side::BOTH[..1]), (self.server, &Side::BOTH[1..])]
        };
        thread::scope(|scope| {
            for (place, sides) in watchers {
                scope.spawn(move || place.within(|| watch.read_until_over(sides)));
            }
            let played = self.client.within(|| self.play(watch, captures));
            watch.end();
            played?
        })
    }

    fn play(&self, watch: &Watch, captures: Vec<Capture>) -> Result<Observed> {
        let mut client = Client::new(self.address, self.host, watch, self.interrupt)?;
        (self.play)(&mut client)?;
        let is_unfinished = self.ends && !watch.wait_for_end(END_TIME);
        let caught = captures.into_iter().map(Capture::finish).collect::<Result<_>>()?;
        let ended_ns = now_ns();
        Ok(Observed { calls: mem::take(&mut client.calls), caught, ended_ns, is_unfinished })
    }
}

impl Observed {
    /// Puts the results into one order of time. `point_of` returns the index of the card that has
    /// an interface of a capture, which is given by its index; packets of others are left out.
    pub fn into_observation(
        self,
        watch: Watch,
        points: Vec<Point>,
        point_of: impl Fn(usize, u32) -> Option<usize>,
    ) -> Observation {
        let mut observation = Observation { points, calls: self.calls, ..Observation::default() };
        watch.tell(&mut observation);
        for (capture, caught) in self.caught.into_iter().enumerate() {
            observation.lost += caught.lost;
            for captured in caught.packets {
                let Some(point) = point_of(capture, captured.interface) else { continue };
                let Captured { link, at_ns, packet, bytes, .. } = captured;
                observation.points[point].link = link;
                observation.sightings.push(Sighting { at_ns, point, packet, bytes });
            }
        }
        observation.sightings.sort_by_key(|sighting| sighting.at_ns);
        relative(&mut observation.sightings);
        if self.is_unfinished && observation.no_states.is_none() {
            observation.notes.push(format!(
                "A connection was not closed by both sides within {END_TIME:?}; the capture ended."
            ));
        }
        observation
    }
}
