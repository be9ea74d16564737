//! The exchange in words. Each sentence is about what was observed; without it, the sentence is
//! left out.

use std::time::Duration;

use super::observation::{Call, Observation, Sent, Side};
use super::stage::Restart;
use super::state::State;

/// Time for which Linux keeps a connection in TIME-WAIT: `TCP_TIMEWAIT_LEN` in
/// `include/net/tcp.h`, which is fixed when the kernel is built.
const TIME_WAIT: Duration = Duration::from_mins(1);

/// Calls that take a connection out of the queue of a listener.
const ACCEPTS: [&str; 2] = ["accept", "accept4"];

/// The first connection of an exchange, in the parts that sentences are about.
struct Parts<'a> {
    observation: &'a Observation,
    sent: Vec<Sent<'a>>,
}

/// Tells an ordinary exchange.
pub fn tell(observation: &Observation, restart: Option<&Restart>) -> Vec<String> {
    let sent = observation.sent().filter(|sent| sent.connection == 0).collect();
    let parts = Parts { observation, sent };
    let told = [
        parts.handshake(),
        parts.accept(),
        parts.first_request(),
        parts.further_requests(),
        parts.goodbye(),
        parts.time_wait(),
        restart.map_or_else(|| parts.advice(), |restart| parts.restart(restart)),
    ];
    told.into_iter().flatten().collect()
}

impl Parts<'_> {
    fn handshake(&self) -> Option<String> {
        let [syn, answer, acknowledgement, ..] = &self.sent[..] else { return None };
        let is_handshake = syn.tcp.flags.syn()
            && answer.tcp.flags.syn()
            && !acknowledgement.tcp.flags.syn()
            && syn.side == acknowledgement.side;
        is_handshake.then(|| {
            format!(
                "Three packets pass before the first byte: SYN, SYN with ACK, ACK. They took {}. \
                 The kernels exchange them: the program of the server has no part in it.",
                time(acknowledgement.at_ns - syn.at_ns)
            )
        })
    }

    fn accept(&self) -> Option<String> {
        let established = self.sent.get(2)?.at_ns;
        let accept = self.calls(Side::Server).find(|call| ACCEPTS.contains(&&*call.name))?;
        let returned = accept.end_ns;
        Some(if returned >= established {
            format!(
                "{}() returned about {} after the handshake: until then, the connection waited in the \
                 queue of the listener.",
                accept.name,
                time(returned - established)
            )
        } else {
            format!("{}() returned with the last packet of the handshake.", accept.name)
        })
    }

    fn first_request(&self) -> Option<String> {
        let request = self.content(Side::Client).next()?;
        let response = self.content(Side::Server).find(|sent| sent.at_ns > request.at_ns)?;
        Some(format!(
            "The request ({}) left {} after the first packet, and the first packet of the response \
             ({}) left {} later.",
            bytes(request.tcp.length),
            time(request.at_ns - self.sent[0].at_ns),
            bytes(response.tcp.length),
            time(response.at_ns - request.at_ns)
        ))
    }

    fn further_requests(&self) -> Option<String> {
        let count = self.calls(Side::Client).filter(|call| call.name == "send").count();
        (count > 1).then(|| {
            format!(
                "The connection carried {count} requests. Each one after the first was spared the \
                 handshake."
            )
        })
    }

    fn goodbye(&self) -> Option<String> {
        let first = self.sent.iter().find(|sent| sent.tcp.flags.fin())?;
        let second =
            self.sent.iter().find(|sent| sent.side == first.side.other() && sent.tcp.flags.fin());
        let (closer, other) = (first.side.name(), first.side.other().name());
        let behind_fin = first.tcp.sequence.wrapping_add(first.tcp.takes());
        Some(match second {
            None => format!("The {closer} closed with a FIN. The {other} has not closed."),
            Some(second) if second.tcp.acknowledgement == behind_fin => format!(
                "The {closer} closed first, with a FIN; the {other} answered with its own FIN {} \
                 later, which acknowledges that of the {closer}, too.",
                time(second.at_ns - first.at_ns)
            ),
            Some(second) => format!(
                "The {closer} closed first, with a FIN; the FIN of the {other} followed {} later.",
                time(second.at_ns - first.at_ns)
            ),
        })
    }

    fn time_wait(&self) -> Option<String> {
        let holder = self.time_wait_side()?;
        let local = self.observation.connections.first()?.of(holder);
        Some(format!(
            "The {} holds the connection in TIME-WAIT, as the kernel says: for {} s on Linux, it \
             remembers the addresses and the ports ({} is its own), so that late packets of this \
             connection can't reach a new one.",
            holder.name(),
            TIME_WAIT.as_secs(),
            local.port()
        ))
    }

    fn advice(&self) -> Option<String> {
        let server = self.observation.connections.first()?.server;
        Some(match self.time_wait_side()? {
            Side::Server => format!(
                "If the server were started again now without SO_REUSEADDR, it could not listen on \
                 port {}: bind() fails with EADDRINUSE as long as a connection of this port is in \
                 TIME-WAIT. `c10k wire MODEL --no-reuse-address` shows that.",
                server.port()
            ),
            Side::Client => "If the server were started again now, it could listen at once, even \
                             without SO_REUSEADDR: no connection of its port is left on its side."
                .into(),
        })
    }

    fn restart(&self, restart: &Restart) -> Option<String> {
        let server = self.observation.connections.first()?.server;
        let without = restart
            .without_reuse_address
            .as_ref()
            .map_or_else(|| "it listened".to_owned(), |error| format!("it said `{error}`"));
        let with = restart
            .with_reuse_address
            .as_ref()
            .map_or_else(|| "it listened at once".to_owned(), |error| format!("it said `{error}`"));
        Some(format!(
            "The server was then ended and started again at {server}. Without SO_REUSEADDR, {without}. \
             With SO_REUSEADDR, as servers usually set it, {with}."
        ))
    }

    /// Returns the side whose socket was read in TIME-WAIT at the end.
    fn time_wait_side(&self) -> Option<Side> {
        time_wait(self.observation).into_iter().next()
    }

    fn calls(&self, side: Side) -> impl Iterator<Item = &Call> {
        let of_connection = move |call: &&Call| call.side == side && call.connection == Some(0);
        self.observation.calls.iter().filter(of_connection)
    }

    /// Returns the packets with content that a side sent.
    fn content(&self, side: Side) -> impl Iterator<Item = &Sent<'_>> {
        self.sent.iter().filter(move |sent| sent.side == side && sent.tcp.length > 0)
    }
}

/// Returns the sides that hold the first connection in TIME-WAIT, by the last readings.
pub fn time_wait(observation: &Observation) -> Vec<Side> {
    let holds = |side: &Side| {
        let last = observation.last_reading(0, *side).and_then(|reading| reading.state);
        last.and_then(State::of_kernel) == Some(State::TimeWait)
    };
    Side::BOTH.into_iter().filter(holds).collect()
}

/// Writes a time with three digits, in the unit that fits.
pub fn time(ns: u64) -> String {
    c10k_reports::format::time_ns(ns as f64)
}

fn bytes(length: u32) -> String {
    c10k_reports::format::plural(length.into(), "byte")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CLIENT, SERVER, short_connection};
    use super::super::observation::Reading;
    use super::*;

    fn reading(side: Side, state: Option<u8>) -> Reading {
        Reading { at_ns: 500_000, side, connection: 0, state }
    }

    /// Returns the story, with ordinary spaces.
    fn story(observation: &Observation, restart: Option<&Restart>) -> String {
        tell(observation, restart).join("\n").replace('\u{a0}', " ")
    }

    #[test]
    fn the_story_has_the_times_and_who_pays() {
        let mut observation = short_connection();
        observation.readings = vec![reading(SERVER, Some(6)), reading(CLIENT, None)];
        let story = story(&observation, None);
        for part in [
            "SYN, SYN with ACK, ACK. They took 30.0 µs.",
            "accept4() returned about 30.0 µs after the handshake",
            "The request (40 bytes) left 100 µs after the first packet",
            "response (1,000 bytes) left 200 µs later",
            "The server closed first, with a FIN; the client answered with its own FIN 20.0 µs later",
            "The server holds the connection in TIME-WAIT, as the kernel says: for 60 s on Linux",
            "could not listen on port 8080",
        ] {
            assert!(story.contains(part), "{part:?} is not in {story}");
        }
        assert!(!story.contains("carried"), "{story}");
    }

    #[test]
    fn the_wait_of_the_client_keeps_no_server_from_listening() {
        let mut observation = short_connection();
        observation.readings = vec![reading(CLIENT, Some(6))];
        let story = story(&observation, None);
        assert!(
            story.contains("The client holds") && story.contains("50000 is its own"),
            "{story}"
        );
        assert!(story.contains("could listen at once"), "{story}");
    }

    #[test]
    fn what_was_not_observed_is_not_told() {
        let mut observation = short_connection();
        observation.calls.retain(|call| call.side == CLIENT);
        let told = story(&observation, None);
        assert!(!told.contains("accept") && !told.contains("TIME-WAIT"), "{told}");
        observation.sightings.truncate(1);
        assert_eq!(tell(&observation, None), Vec::<String>::new());
    }

    #[test]
    fn a_restart_is_told_with_the_real_error() {
        let mut observation = short_connection();
        observation.readings = vec![reading(SERVER, Some(6))];
        let error = "cannot listen on 127.0.0.1:8080: Address already in use (os error 98)";
        let restart =
            Restart { without_reuse_address: Some(error.into()), with_reuse_address: None };
        let story = story(&observation, Some(&restart));
        assert!(story.contains(&format!("Without SO_REUSEADDR, it said `{error}`")), "{story}");
        assert!(story.contains("it listened at once"), "{story}");
    }
}
