//! Limits of this process.

use std::num::NonZeroUsize;

use anyhow::{Context, Result, ensure};
use c10k_servers::http::Timeouts;
use c10k_servers::{Entry, Options};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that a server or a generator needs beside its connections: standard streams, the listener, event queues.
const OWN_DESCRIPTORS: u64 = 64;

/// Requests, or connections, per second at the most: more than any machine sends; a guard against typing errors.
pub const MAX_RATE: f64 = 1e8;

/// Raises the soft limit of open files to the hard one; connections are files, and the soft limit is often 1024.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Where it can't be raised, the limit stays as it is and is told where it matters.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// Whether one process may have so many connections.
pub fn check_connections(connections: usize) -> Result<()> {
    let possible = max_connections();
    ensure!(
        connections <= possible,
        "{connections} connections need more open files than allowed: {possible} at most, see `ulimit -Hn`"
    );
    Ok(())
}

/// Connections that one process may have open.
pub fn max_connections() -> usize {
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    usize::try_from(open_files.saturating_sub(OWN_DESCRIPTORS)).unwrap_or(usize::MAX)
}

/// Connections that a server of `model` may have open with so many workers.
///
/// # Errors
/// When the server itself takes all open files.
pub fn max_connections_of(model: &Entry, workers: Option<NonZeroUsize>) -> Result<NonZeroUsize> {
    let possible = max_connections().saturating_sub(model.own_descriptors(workers));
    NonZeroUsize::new(possible).context(
        "the limit of open files leaves none for connections; ask for fewer --workers or see `ulimit -Hn`",
    )
}

/// The reason why `c10k serve` with nothing but the model's name would not start, if there is one.
pub fn why_not_here(entry: &Entry) -> Option<String> {
    let max_connections = match max_connections_of(entry, None) {
        Ok(max_connections) => max_connections,
        Err(error) => return Some(error.to_string()),
    };
    entry.build(Options { workers: None, max_connections, timeouts: Timeouts::default() }).err()
}
