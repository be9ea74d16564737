//! As `compio`, and handlers that block run on threads that are there for that (`spawn_blocking`).
//!
//! The threads of the runtimes go on, at the price of a hand-over and two wake-ups for every such request. Handlers that
//! take no time stay in their tasks.

use crate::http::Handlers;
use crate::{ConcurrencyModel, Options};

use super::compio::Compio;

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    let (loops, threads) = (options.beside_pool(), options.blocking_workers());
    Box::new(Compio { loops, threads, handlers: Handlers::OffloadBlocking })
}
