//! Like `compio`, but handlers that block run on separate threads (`spawn_blocking`).
//!
//! The threads of the runtimes go on, at the cost of a hand-over and two wake-ups for every such
//! request. Handlers that take no time stay in their tasks.

use std::num::NonZero;

use crate::http::HandlerPlacement;
use crate::{ConcurrencyModel, Options};

use super::compio::Compio;

pub fn build(options: Options) -> Box<dyn ConcurrencyModel> {
    let threads = options.blocking_workers();
    // Each runtime has a pool of its own, of at least one thread.
    let loops = NonZero::new(options.beside_pool().event_loops().min(threads));
    let loops = Options { workers: loops, ..options };
    Box::new(Compio { loops, threads, handlers: HandlerPlacement::OffloadBlocking })
}
