//! Threads that can't be had: saying so, and finding out before a runtime does.

use std::fmt::Display;
use std::fs;
use std::io;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

/// How long those that were tried out may take to be gone, which they mostly are at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// The error of starting `what`, with the next step.
pub fn refused(what: impl Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot start {what}: {error}; {}", next_step(error)))
}

/// What to do about a thread that can't be had.
fn next_step(error: &io::Error) -> &'static str {
    match error.kind() {
        // The C library asks for clone3(2), and for the older clone(2) only where the answer is ENOSYS.
        io::ErrorKind::PermissionDenied => {
            "a security policy forbids threads, such as the seccomp profile of a container: \
             have it answer clone3 with ENOSYS, or allow it"
        }
        _ => "see `ulimit -u`",
    }
}

/// Memory maps of a thread: its stack, the stack of its signal handlers, and a guard below each. Rust aborts the process
/// where the latter two can't be had, so a pool that can't have them is refused.
const MAPS_PER_THREAD: usize = 4;

/// Memory maps that a process may have beside those: libraries, heaps, rings.
const OWN_MAPS: usize = 1000;

/// The most threads that a process may have, and the setting that says so; `None` where the system says nothing.
pub fn most_threads() -> Option<(usize, &'static str)> {
    let by_maps = read_limit("vm.max_map_count")
        .map(|(maps, name)| (maps.saturating_sub(OWN_MAPS) / MAPS_PER_THREAD, name));
    [by_maps, read_limit("kernel.threads-max"), most_processes()].into_iter().flatten().min()
}

/// The same of processes.
pub fn most_processes() -> Option<(usize, &'static str)> {
    read_limit("kernel.pid_max")
}

fn read_limit(name: &'static str) -> Option<(usize, &'static str)> {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
    Some((text.trim().parse().ok()?, name))
}

/// The reason why this process can't have a thread, if there is one. Tried once.
pub fn why_none() -> Option<&'static str> {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let reason = || try_out(1).err().map(|error| error.to_string());
    REASON.get_or_init(reason).as_deref()
}

/// Finds out whether a runtime can have the `threads` that it begins with: it panics or hangs where it is refused one. Limits
/// don't tell, as others of the same user count too, and a container has its own. So as many are started, to be there all at
/// once, and ended again; the runtime's threads then get their stacks.
///
/// # Errors
/// When one can't be had.
pub fn try_out(threads: usize) -> io::Result<()> {
    let (before, gate) = (count(), RwLock::new(()));
    let tried = thread::scope(|scope| {
        // Nobody passes before the last one is there.
        let closed = gate.write().unwrap_or_else(PoisonError::into_inner);
        let start = |_| Builder::new().spawn_scoped(scope, || drop(gate.read()));
        let tried = (0..threads).try_for_each(|i| start(i).map(drop));
        drop(closed);
        tried
    });
    // One that has ended counts for a moment longer.
    let end = Instant::now() + PATIENCE;
    while count() > before && Instant::now() < end {
        thread::yield_now();
    }
    tried.map_err(|error| refused("a thread", &error))
}

/// The threads of this process, where there is a place to look.
pub fn count() -> Option<usize> {
    fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}
