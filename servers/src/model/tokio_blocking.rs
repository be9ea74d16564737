//! Like `tokio`, but handlers that block run on separate threads (`spawn_blocking`).
//!
//! This is the remedy that runtimes offer against blocking code: the few threads that run tasks go
//! on, at the cost of a hand-over and two wake-ups for every such request. Handlers that take no
//! time stay in their tasks.

use std::io;
use std::sync::Arc;

use super::tokio::serve_with;
use crate::http::HandlerPlacement;
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let threads = options.event_loops();
    serve_with(threads, HandlerPlacement::OffloadBlocking, options, listener, site, shutdown)
}
