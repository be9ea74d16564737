//! Like `smol`, but handlers that block run on separate threads.
//!
//! The few threads that run tasks go on, at the cost of a hand-over and two wake-ups for every such
//! request. Handlers that take no time stay in their tasks.

use crate::http::HandlerPlacement;
use crate::{ConcurrencyModel, Options};

use super::smol::Smol;

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    let threads = options.beside_pool().event_loops();
    Box::new(Smol { options, threads, handlers: HandlerPlacement::OffloadBlocking })
}
