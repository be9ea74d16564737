//! Limits of this process.

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that a server or a generator needs beside its connections: standard streams, the listener, event queues.
const OWN_DESCRIPTORS: u64 = 64;

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
    usize::try_from(open_files.saturating_sub(OWN_DESCRIPTORS).max(1)).unwrap_or(usize::MAX)
}
