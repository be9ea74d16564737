//! Handlers that block: they delay only those clients that the model's profile says they delay.

use std::time::{Duration, Instant};

use c10k_servers::ConnectionLimit;

use super::{Behaviour, Outcome, behaviours};
use crate::client::{CLOSE, Client, get};
use crate::model::Model;
use crate::server::Server;
use crate::wait;

pub const BEHAVIOURS: &[Behaviour] = behaviours![
    delays_other_clients_by_a_blocking_handler_only_as_declared,
    runs_as_many_handlers_at_once_as_it_has_threads_for,
    has_the_requested_number_of_loops_beside_its_handler_threads,
];

/// Time that the server gets to start the handler.
const HEAD_START: Duration = Duration::from_millis(150);

/// With a single worker, a request that arrives while a handler sleeps is answered after that
/// handler, unless its connection has its own process or thread, or the handler has its own thread.
fn delays_other_clients_by_a_blocking_handler_only_as_declared(model: &Model) {
    // The only worker of a limited number keeps the next connection from being accepted.
    let is_limited = model.profile.connection_limit == ConnectionLimit::Workers;
    let has_own_task = model.has_a_task_per_connection() && !is_limited;
    let delays = !(has_own_task || model.offloads_handlers());
    // Of the threads for handlers, one sleeps and one is left.
    let server = Server::launch(model).workers(1).handler_threads(2).start();
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

/// With one loop, as many handlers sleep at once as there are threads for them, and one more sleeps
/// after one of these.
fn runs_as_many_handlers_at_once_as_it_has_threads_for(model: &Model) -> Outcome {
    const THREADS: usize = 4;
    const SLEEP: Duration = Duration::from_millis(300);
    if !model.offloads_handlers() {
        return Outcome::Skipped("handlers run where their connections do".into());
    }
    let server = Server::launch(model).workers(1).handler_threads(THREADS).start();
    let sleep_at_once = |clients: usize| {
        let mut clients: Vec<Client> = (0..clients).map(|_| server.connect()).collect();
        let begin = Instant::now();
        for client in &mut clients {
            client.send(get(&format!("/sleep/{}", SLEEP.as_micros())));
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
        }
        begin.elapsed()
    };
    // With fewer threads, one of the handlers would sleep after another.
    wait::until("all handlers sleep at once", || sleep_at_once(THREADS) < SLEEP * 2);
    let time = sleep_at_once(THREADS + 1);
    assert!(time >= SLEEP * 2, "{time:?}");
    Outcome::Shown
}

/// Each loop has a thread of its own.
fn has_the_requested_number_of_loops_beside_its_handler_threads(model: &Model) -> Outcome {
    if !model.offloads_handlers() || !model.has_several_loops() {
        return Outcome::Skipped("has no loops beside threads for handlers".into());
    }
    let [one, four] = [1, 4].map(|loops| Server::launch(model).workers(loops).start());
    wait::until("the further loops are there", || {
        four.process().threads() == one.process().threads() + 3
    });
    Outcome::Shown
}
