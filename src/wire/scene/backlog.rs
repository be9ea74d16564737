//! `backlog`: the queue of the listener is full, so that the kernel drops the next SYN, and the
//! client's kernel sends it again a second later.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::definition::Scene;
use crate::wire::client::{Client, PATIENCE};
use crate::wire::observation::{Observation, Side};
use crate::wire::story;

pub(super) const SCENE: Scene = Scene {
    name: "backlog",
    about: "the queue of the listener is full",
    // The first connection occupies the server; all others wait in the queue.
    serve: &["--max-connections", "1", "--backlog", "1"],
    ends: false,
    play,
    tell,
};

/// Time after which a SYN is known to be dropped; its answer takes microseconds otherwise.
const DROPPED: Duration = Duration::from_millis(200);

/// Most connections that are opened to fill the queue. Linux queues one more than the backlog.
const MOST: usize = 8;

fn play(client: &mut Client<'_>) -> Result<()> {
    let occupier = client.connect()?;
    client.send(occupier, &client.get("/", false))?;
    client.receive(occupier)?;
    for _ in 0..MOST {
        let waiting = client.begin_connect(&[])?;
        if client.finish_connect(waiting, DROPPED)? {
            continue;
        }
        // The server now accepts the first of those that wait, and the queue has a free place.
        client.close(occupier);
        ensure!(
            client.finish_connect(waiting, PATIENCE)?,
            "the connection was not accepted within {PATIENCE:?}, although the queue had a place"
        );
        return Ok(());
    }
    bail!("{MOST} connections did not fill the queue; this model accepts beyond its limit")
}

fn tell(observation: &Observation) -> Vec<String> {
    let Some(dropped) = observation.connections.len().checked_sub(1) else { return Vec::new() };
    let syns: Vec<u64> = observation
        .sent()
        .filter(|sent| {
            sent.connection == dropped && sent.side == Side::Client && sent.tcp.flags.syn()
        })
        .map(|sent| sent.at_ns)
        .collect();
    let [first, .., last] = &syns[..] else { return Vec::new() };
    let queued = dropped - 1;
    let mut told = vec![
        format!(
            "The server serves one connection at a time, #1, and its listener has a backlog of 1. \
             The kernel completed the handshake of {queued} further connections, which wait in the \
             queue: their clients take them for open, although the program has accepted none."
        ),
        format!(
            "The queue was then full, and the kernel dropped the SYN of connection #{} without a \
             word. The client's kernel sent it {} times, the last one {} after the first.",
            dropped + 1,
            syns.len(),
            story::time(last - first)
        ),
    ];
    let connect = observation.calls.iter().find(|call| {
        call.connection == Some(dropped) && call.name == "connect" && call.end_ns != u64::MAX
    });
    if let Some(connect) = connect {
        told.push(format!(
            "Meanwhile #1 was closed, so that a place in the queue became free. connect() took {} \
             in all: that is the latency by which clients notice a full queue.",
            story::time(connect.end_ns - connect.begin_ns)
        ));
    }
    told
}
