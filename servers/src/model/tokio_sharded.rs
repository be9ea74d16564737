//! A tokio runtime per processor, each with one thread and a listener of its own on the same
//! address (`SO_REUSEPORT`).
//!
//! Tasks never move, so that nothing is locked and caches stay warm: nginx does this with
//! processes, this model with tasks. The kernel distributes new connections by a hash of their
//! addresses, and no other runtime helps one that has more than its share.

use std::io;
use std::num::NonZero;
use std::sync::Arc;

use tokio::runtime::Builder;

use super::tokio::serve_tasks;
use crate::net::shards::{connection_limits, run_each};
use crate::runtimes::tasks;
use crate::{Listener, Options, Shutdown, Site};

pub fn serve(
    options: Options,
    listener: Listener,
    site: Arc<Site>,
    shutdown: Shutdown,
) -> io::Result<()> {
    let shards = listener.into_shards(options.event_loops())?;
    let shards = shards.into_iter().zip(connection_limits(&options));
    run_each(shards, &shutdown, |(listener, max_connections)| {
        let max_connections = NonZero::new(max_connections).unwrap_or(NonZero::<usize>::MIN);
        let options = Options { max_connections, ..options };
        tasks::use_service(options.service(Arc::clone(&site)), shutdown.clone());
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        runtime.block_on(serve_tasks(&listener, &shutdown, &options))
    })
}
