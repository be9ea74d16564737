//! `syn`: a client that never completes the handshake, as in a SYN flood.
//!
//! A filter on the client's socket throws every packet away that arrives for it. So the client
//! never sees the answer to its SYN, and its kernel sends no reset either, as it would without a
//! socket. No packet filter of the machine is needed.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use socket2::SockFilter;

use super::definition::Scene;
use crate::wire::client::Client;
use crate::wire::observation::{Call, Observation, Reading, Side};
use crate::wire::state::State;

pub(super) const SCENE: Scene = Scene {
    name: "syn",
    about: "a client that never completes the handshake",
    serve: &[],
    ends: false,
    play,
    tell,
};

/// Time of the scene: the server repeats its answer after 1 s, then after 2 s more (RFC 6298).
const LENGTH: Duration = Duration::from_millis(1400);

/// Program of one instruction (`BPF_RET | BPF_K` in `linux/bpf_common.h`), which keeps no byte of
/// any packet.
const KEEP_NOTHING: [SockFilter; 1] = [SockFilter::new(0x06, 0, 0, 0)];

/// Setting of the number of times that a server repeats its answer to a SYN, and its default.
const RETRIES: &str = "/proc/sys/net/ipv4/tcp_synack_retries";
const USUAL_RETRIES: u32 = 5;

fn play(client: &mut Client<'_>) -> Result<()> {
    client.begin_connect(&KEEP_NOTHING)?;
    client.pause(LENGTH)
}

fn tell(observation: &Observation) -> Vec<String> {
    let mut told = Vec::new();
    let count =
        |side| observation.sent().filter(|sent| sent.side == side && sent.tcp.flags.syn()).count();
    let (syns, answers) = (count(Side::Client), count(Side::Server));
    if answers == 0 {
        return told;
    }
    told.push(
        "The client sent a SYN, and a filter on its socket threw the answer away: it never sends \
         the third packet of the handshake."
            .into(),
    );
    told.push(format!(
        "The server sent its answer {answers} times. (The client's kernel, which does not see it, \
         sent its SYN {syns} times.)"
    ));
    let is_half_open = |reading: &Reading| {
        reading.side == Side::Server
            && reading.state.and_then(State::of_kernel) == Some(State::SynReceived)
    };
    if observation.readings.iter().any(is_half_open) {
        let retries = retries();
        told.push(format!(
            "The server's kernel keeps the half-open connection in SYN-RECEIVED, read from the \
             kernel, and gives it up after {retries} repetitions (tcp_synack_retries), {} s in all.",
            give_up_s(retries)
        ));
    }
    if observation.no_server_calls.is_none() && !observation.uses_io_uring() {
        let is_accept = |call: &Call| call.name.starts_with("accept") && call.connection.is_some();
        told.push(if observation.calls.iter().any(is_accept) {
            "The program of the server accepted the connection.".into()
        } else {
            "The program of the server has seen nothing of it: accept() has no connection to return."
                .into()
        });
    }
    told
}

fn retries() -> u32 {
    let text = fs::read_to_string(RETRIES).unwrap_or_default();
    text.trim().parse().unwrap_or(USUAL_RETRIES)
}

/// Returns the time until a half-open connection is given up: the first wait is 1 s, and each
/// further one is twice as long.
fn give_up_s(retries: u32) -> u64 {
    (1 << (retries + 1).min(63)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_open_connection_is_kept_for_a_minute_by_default() {
        assert_eq!(give_up_s(USUAL_RETRIES), 63);
        assert_eq!(give_up_s(0), 1);
    }
}
