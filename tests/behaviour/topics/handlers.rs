//! Handlers that block: they delay only those clients that the model's profile says they delay.

use std::time::Duration;

use super::{Behaviour, behaviours};
use crate::client::{CLOSE, get};
use crate::model::Model;
use crate::server::Server;

pub const BEHAVIOURS: &[Behaviour] =
    behaviours![delays_other_clients_by_a_blocking_handler_only_as_declared,];

/// Time that the server gets to start the handler.
const HEAD_START: Duration = Duration::from_millis(150);

/// With a single worker, a request that arrives while a handler sleeps is answered after that
/// handler, unless its connection has its own process or thread, or the handler has its own thread.
fn delays_other_clients_by_a_blocking_handler_only_as_declared(model: &Model) {
    let delays = !(model.has_a_task_per_connection() || model.offloads_handlers);
    // The workers of a model that offloads run the handlers: one sleeps, and one is left.
    let server = Server::launch(model).workers(if model.offloads_handlers { 2 } else { 1 }).start();
    let mut sleeper = server.connect();
    // If the other request is delayed, it waits for the whole sleep, so the sleep is short. If it
    // is not delayed, the sleep is long, so that its response clearly comes before the end.
    let sleep = if delays { "/sleep/400000 " } else { "/sleep/2000000 " };
    // The connection ends with its response, so that a worker that has one connection at a time is
    // free for the other client.
    sleeper.send(CLOSE.replace("/ ", sleep));
    assert!(sleeper.hears_nothing_for(HEAD_START), "the handler does not sleep");
    let mut other = server.connect();
    other.send(get("/"));
    assert_eq!(other.answer().status, 200);
    // A delayed response comes after the sleeper's response: one thread has written both.
    assert_eq!(
        sleeper.has_answer(),
        delays,
        "whether the handler has delayed somebody else's request"
    );
    assert_eq!(sleeper.answer().status, 200);
}
