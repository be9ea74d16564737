//! As `tokio`, and handlers that block run on threads that are there for that (`spawn_blocking`).
//!
//! The remedy that runtimes offer against blocking code: the few threads that run tasks go on, at the price of a hand-over
//! and two wake-ups for every such request. Handlers that take no time stay in their tasks.

use crate::http::Handlers;
use crate::{ConcurrencyModel, Options};

use super::tokio::Tokio;

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    let threads = options.beside_pool().event_loops();
    Box::new(Tokio { options, threads, handlers: Handlers::OffloadBlocking })
}
