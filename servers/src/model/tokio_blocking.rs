//! Like `tokio`, but handlers that block run on separate threads (`spawn_blocking`).
//!
//! This is the remedy that runtimes offer against blocking code: the few threads that run tasks go
//! on, at the cost of a hand-over and two wake-ups for every such request. Handlers that take no
//! time stay in their tasks.

use crate::http::HandlerPlacement;
use crate::{ConcurrencyModel, Options};

use super::tokio::Tokio;

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    let threads = options.beside_pool().event_loops();
    Box::new(Tokio { options, threads, handlers: HandlerPlacement::OffloadBlocking })
}
