//! `half-close`: the client closes its sending direction behind the request, and still receives the
//! response.

use anyhow::Result;

use super::definition::Scene;
use crate::wire::client::Client;
use crate::wire::observation::{Observation, Sent, Side};
use crate::wire::story;

pub(super) const SCENE: Scene = Scene {
    name: "half-close",
    about: "the client closes its direction before the response",
    serve: &[],
    ends: true,
    play,
    tell,
};

/// A request whose response takes 20 ms, so that it is on its way after the FIN of the client.
const PATH: &str = "/wait/20000";

fn play(client: &mut Client<'_>) -> Result<()> {
    let connection = client.connect()?;
    client.send(connection, &client.get(PATH, true))?;
    client.shut_down(connection)?;
    client.receive(connection)?;
    client.receive_end(connection)?;
    client.close(connection);
    Ok(())
}

fn tell(observation: &Observation) -> Vec<String> {
    let mut told = Vec::new();
    let sent: Vec<_> = observation.sent().collect();
    let fin = |side: Side| sent.iter().find(|sent| sent.side == side && sent.tcp.flags.fin());
    let Some(closed) = fin(Side::Client) else { return told };
    told.push(
        "The client sent its request and closed its direction with shutdown(): its FIN says that \
         no further bytes come, and nothing else."
            .into(),
    );
    let is_response = |sent: &&Sent<'_>| {
        sent.side == Side::Server && sent.tcp.length > 0 && sent.at_ns > closed.at_ns
    };
    if let Some(response) = sent.iter().find(is_response) {
        told.push(format!(
            "The connection was half-closed: the server (CLOSE-WAIT) sent its response ({} bytes) \
             {} after that FIN, and the client (FIN-WAIT-2) received it.",
            response.tcp.length,
            story::time(response.at_ns - closed.at_ns)
        ));
    }
    if fin(Side::Server).is_some() {
        told.push(
            "Only the FIN of the server closed the other direction. A server that takes the end of \
             a client's direction for the end of the client loses such responses."
                .into(),
        );
    }
    told.extend(story::time_wait(observation).into_iter().map(|side| {
        format!("The {} closed its direction first, and holds TIME-WAIT.", side.name())
    }));
    told
}
