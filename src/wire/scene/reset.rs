//! `reset`: the client closes while the response lies unread in its socket, and its kernel answers
//! with a reset in place of a FIN.

use anyhow::Result;

use super::definition::Scene;
use crate::wire::client::Client;
use crate::wire::observation::Observation;
use crate::wire::story;

pub(super) const SCENE: Scene = Scene {
    name: "reset",
    about: "the client closes without reading the response",
    serve: &[],
    ends: true,
    play,
    tell,
};

fn play(client: &mut Client<'_>) -> Result<()> {
    let connection = client.connect()?;
    client.send(connection, &client.get("/", false))?;
    client.await_response(connection)?;
    client.close(connection);
    Ok(())
}

fn tell(observation: &Observation) -> Vec<String> {
    let mut told = Vec::new();
    let Some(reset) = observation.sent().find(|sent| sent.tcp.flags.reset()) else { return told };
    told.push(format!(
        "The {} called close() although bytes of the response were unread. Its kernel then sent a \
         reset (RST) and no FIN: it says that bytes were lost (RFC 2525, section 2.17).",
        reset.side.name()
    ));
    let noticed = observation.calls.iter().find(|call| {
        call.side == reset.side.other() && call.begin_ns > reset.at_ns && call.connection.is_some()
    });
    if let Some(call) = noticed {
        told.push(format!(
            "The {} noticed it in {}(), which returned {}.",
            call.side.name(),
            call.name,
            call.result
        ));
    }
    let acknowledged = observation.sent().any(|sent| sent.at_ns > reset.at_ns);
    if !acknowledged {
        told.push("A reset is not acknowledged, and no packet follows it.".into());
    }
    if observation.no_states.is_none() && story::time_wait(observation).is_empty() {
        told.push(
            "Neither side holds TIME-WAIT: the kernel forgot the connection on both sides at once."
                .into(),
        );
    }
    told
}
