//! States of a TCP connection (RFC 9293, section 3.3.2), and those that its packets imply.

use std::fmt;

use super::observation::{Observation, Sent, Side};

/// State of one end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    #[default]
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

impl State {
    /// Returns the state with this number in the kernel (`include/net/tcp_states.h`).
    pub fn of_kernel(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            // The second number is that of a connection that no program has accepted yet.
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Closed,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => return None,
        })
    }

    /// Returns the name in the standard.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        }
    }

    /// True if the connection is over for this end, apart from the wait behind it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Listen | Self::TimeWait)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// States of both ends after a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct States {
    pub client: State,
    pub server: State,
}

impl States {
    /// Returns the state of a side.
    pub fn of(self, side: Side) -> State {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

/// Both ends of a connection, as its packets imply them.
#[derive(Debug, Clone, Copy)]
struct Implied {
    states: States,
    /// Number behind the FIN of client and server, which an acknowledgement of it has.
    behind_fin: [Option<u32>; 2],
}

/// Returns the states of both ends after each segment that was sent, in their order.
pub fn implied(observation: &Observation) -> Vec<States> {
    let start = Implied {
        states: States { client: State::Closed, server: State::Listen },
        behind_fin: [None; 2],
    };
    let mut connections = vec![start; observation.connections.len()];
    observation
        .sent()
        .map(|sent| {
            let connection = &mut connections[sent.connection];
            connection.pass(&sent);
            connection.states
        })
        .collect()
}

impl Implied {
    /// Takes a segment. It changes its sender, and its receiver if that has to take it: a SYN
    /// may be dropped, so that only an answer shows that it was taken.
    fn pass(&mut self, sent: &Sent<'_>) {
        let sender = sent.side;
        if sent.tcp.flags.reset() {
            *self.state(sender) = State::Closed;
            *self.state(sender.other()) = State::Closed;
            return;
        }
        self.send(sender, sent);
        self.receive(sender.other(), sent);
    }

    fn send(&mut self, side: Side, sent: &Sent<'_>) {
        let (is_syn, is_ack) = (sent.tcp.flags.syn(), sent.tcp.flags.ack());
        let acknowledges_fin = self.acknowledges_fin(side.other(), sent);
        let state = self.state(side);
        *state = match *state {
            _ if is_syn && is_ack => State::SynReceived,
            _ if is_syn => State::SynSent,
            State::SynSent if is_ack => State::Established,
            state => state,
        };
        if !sent.tcp.flags.fin() {
            return;
        }
        *state = match *state {
            State::Established | State::SynReceived => State::FinWait1,
            State::CloseWait if acknowledges_fin => State::LastAck,
            // Both closed before they saw the FIN of the other.
            State::CloseWait => State::Closing,
            state => state,
        };
        self.behind_fin[side as usize] = Some(sent.tcp.sequence.wrapping_add(sent.tcp.takes()));
    }

    fn receive(&mut self, side: Side, sent: &Sent<'_>) {
        let acknowledges_fin = self.acknowledges_fin(side, sent);
        let is_fin = sent.tcp.flags.fin();
        let state = self.state(side);
        *state = match *state {
            State::SynReceived if sent.tcp.flags.ack() => State::Established,
            State::FinWait1 if acknowledges_fin => State::FinWait2,
            State::Closing if acknowledges_fin => State::TimeWait,
            State::LastAck if acknowledges_fin => State::Closed,
            state => state,
        };
        *state = match *state {
            State::Established if is_fin => State::CloseWait,
            State::FinWait1 if is_fin => State::Closing,
            State::FinWait2 if is_fin => State::TimeWait,
            state => state,
        };
    }

    /// True if the segment acknowledges the FIN of `side`.
    fn acknowledges_fin(&self, side: Side, sent: &Sent<'_>) -> bool {
        sent.tcp.flags.ack() && self.behind_fin[side as usize] == Some(sent.tcp.acknowledgement)
    }

    fn state(&mut self, side: Side) -> &mut State {
        match side {
            Side::Client => &mut self.states.client,
            Side::Server => &mut self.states.server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CLIENT, SERVER, observation, short_connection, sighting};
    use super::State::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived,
        SynSent, TimeWait,
    };
    use super::*;

    fn after_each(observation: &Observation) -> Vec<(State, State)> {
        implied(observation).iter().map(|states| (states.client, states.server)).collect()
    }

    #[test]
    fn the_end_that_closes_first_waits_at_the_end() {
        let states = after_each(&short_connection());
        assert_eq!(
            states[..3],
            [(SynSent, Listen), (SynSent, SynReceived), (Established, Established)]
        );
        assert!(states[3..7].iter().all(|states| *states == (Established, Established)));
        // The FIN of the client acknowledges that of the server.
        assert_eq!(states[7..], [(CloseWait, FinWait1), (LastAck, TimeWait), (Closed, TimeWait)]);
    }

    #[test]
    fn a_half_closed_end_waits_for_the_other() {
        let observation = observation(vec![
            sighting(0, CLIENT, "S", (0, 0), 0),
            sighting(1, SERVER, "S.", (0, 1), 0),
            sighting(2, CLIENT, ".", (1, 1), 0),
            sighting(3, CLIENT, "FP.", (1, 1), 40),
            sighting(4, SERVER, ".", (1, 42), 0),
            sighting(5, SERVER, "FP.", (1, 42), 100),
            sighting(6, CLIENT, ".", (42, 102), 0),
        ]);
        assert_eq!(
            after_each(&observation)[3..],
            [(FinWait1, CloseWait), (FinWait2, CloseWait), (TimeWait, LastAck), (TimeWait, Closed)]
        );
    }

    #[test]
    fn both_ends_may_close_at_once() {
        let mut packets = short_connection().sightings;
        packets.truncate(3);
        packets.extend([
            sighting(3, CLIENT, "F.", (1, 1), 0),
            sighting(4, SERVER, "F.", (1, 1), 0),
            sighting(5, CLIENT, ".", (2, 2), 0),
            sighting(6, SERVER, ".", (2, 2), 0),
        ]);
        assert_eq!(
            after_each(&observation(packets))[4..],
            [(Closing, Closing), (Closing, TimeWait), (TimeWait, TimeWait)]
        );
    }

    #[test]
    fn a_reset_closes_both_ends_and_leaves_no_wait() {
        let mut packets = short_connection().sightings;
        packets.truncate(6);
        packets.push(sighting(320, CLIENT, "R.", (41, 1), 0));
        assert_eq!(after_each(&observation(packets)).last(), Some(&(Closed, Closed)));
    }

    #[test]
    fn a_syn_without_an_answer_changes_the_client_alone() {
        let packets =
            vec![sighting(0, CLIENT, "S", (0, 0), 0), sighting(1_000_000, CLIENT, "S", (0, 0), 0)];
        assert_eq!(after_each(&observation(packets)), [(SynSent, Listen); 2]);
    }

    #[test]
    fn every_state_has_its_number_in_the_kernel() {
        let all: Vec<_> = (1..=11).filter_map(State::of_kernel).collect();
        assert_eq!(all.len(), 11);
        assert_eq!(State::of_kernel(12), Some(SynReceived));
        assert_eq!(State::of_kernel(0), None);
    }
}
