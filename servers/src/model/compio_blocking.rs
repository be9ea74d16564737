//! Like `compio`, but handlers that block run on separate threads (`spawn_blocking`).
//!
//! The threads of the runtimes go on, at the cost of a hand-over and two wake-ups for every such
//! request. Handlers that take no time stay in their tasks.

use std::io;
use std::num::NonZero;
use std::sync::Arc;

use super::compio::serve_with;
use crate::http::HandlerPlacement;
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let threads = options.handler_pool();
    // Each runtime has a pool of its own, of at least one thread.
    let loops = NonZero::new(options.event_loops().min(threads));
    let options = Options { workers: loops, ..options };
    serve_with(threads, HandlerPlacement::OffloadBlocking, options, listener, site, shutdown)
}
