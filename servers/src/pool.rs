//! A fixed set of threads that serve one connection at a time: what the models with such a pool share.

use std::io;
use std::sync::Arc;
use std::thread;

use crate::blocking::{READ_BYTES, STACK_BYTES, serve_connection};
use crate::open_connections::Registered;
use crate::{Options, Shutdown, Site};

/// Starts the threads. Each serves what `next` gives it, until that is nothing.
pub fn start(
    options: Options,
    site: &Arc<Site>,
    shutdown: &Shutdown,
    next: impl Fn() -> Option<Registered> + Clone + Send + 'static,
) -> io::Result<()> {
    let workers = options.blocking_workers();
    for started in 0..workers {
        let (site, shutdown, next) = (Arc::clone(site), shutdown.clone(), next.clone());
        let work = move || {
            let (mut service, mut buffer) = (options.service(site), vec![0; READ_BYTES]);
            while let Some(stream) = next() {
                // An error of this connection is its end and nobody else's.
                let _ = serve_connection(&*stream, &mut service, &mut buffer, &shutdown);
            }
        };
        start_worker(started, workers, work)?;
    }
    Ok(())
}

/// Starts one of `workers` threads; an error says what to do.
pub fn start_worker(started: usize, workers: usize, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name("worker".into()).stack_size(STACK_BYTES);
    builder.spawn(work).map(|_| ()).map_err(|error| {
        let place = started + 1;
        let message =
            format!("cannot start worker {place} of {workers}: {error}; ask for fewer with --workers");
        io::Error::new(error.kind(), message)
    })
}
