//! Detects at start-up if threads can't be started, because some runtimes panic or hang in that
//! case, and builds the error message.

use std::fmt::Display;
use std::fs;
use std::io;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

/// Longest wait for the end of the threads of a trial; mostly they end at once.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Returns the error of starting `what`, with the next step.
pub fn start_error(what: impl Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot start {what}: {error}; {}", next_step(error)))
}

/// Returns the next step after a thread could not be started.
fn next_step(error: &io::Error) -> &'static str {
    match error.kind() {
        // The C library calls clone3(2), and the older clone(2) only if that returns ENOSYS.
        io::ErrorKind::PermissionDenied => {
            "a security policy forbids threads, such as the seccomp profile of a container: \
             have it answer clone3 with ENOSYS, or allow it"
        }
        _ => "see `ulimit -u`",
    }
}

/// Memory maps of a thread: its stack, the stack of its signal handlers, and a guard below each.
/// Rust aborts the process if it can't map the signal stack and its guard, so a pool that would
/// exceed the limit is refused.
const MAPS_PER_THREAD: usize = 4;

/// Memory maps of a process beside those of its threads: libraries, heaps, rings.
const OWN_MAPS: usize = 1000;

/// Returns the largest number of threads that a process may have, and the setting that limits it;
/// `None` if no limit can be read.
pub fn most_threads() -> Option<(usize, &'static str)> {
    let by_maps = read_limit("vm.max_map_count")
        .map(|(maps, name)| (maps.saturating_sub(OWN_MAPS) / MAPS_PER_THREAD, name));
    [by_maps, read_limit("kernel.threads-max"), most_processes()].into_iter().flatten().min()
}

/// Returns the largest number of processes, and the setting that limits it; `None` if no limit can
/// be read.
pub fn most_processes() -> Option<(usize, &'static str)> {
    read_limit("kernel.pid_max")
}

fn read_limit(name: &'static str) -> Option<(usize, &'static str)> {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
    Some((text.trim().parse().ok()?, name))
}

/// Returns the reason why this process can't start a thread, if there is one. Tries it only once.
pub fn why_no_threads() -> Option<&'static str> {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let reason = || try_out(1).err().map(|error| error.to_string());
    REASON.get_or_init(reason).as_deref()
}

/// Starts `threads` threads at once and ends them again, because a runtime that starts this number
/// of threads panics or hangs if one is refused. Reading the limits is not enough: other processes
/// of the same user count too, and a container has limits of its own. The runtime's threads then
/// get the stacks of these threads.
///
/// # Errors
/// When a thread can't be started.
pub fn try_out(threads: usize) -> io::Result<()> {
    let before = count();
    let gate = RwLock::new(());
    let tried = thread::scope(|scope| {
        // No thread passes before the last one has started.
        let closed = gate.write().unwrap_or_else(PoisonError::into_inner);
        let start = |_| Builder::new().spawn_scoped(scope, || drop(gate.read()));
        let tried = (0..threads).try_for_each(|i| start(i).map(drop));
        drop(closed);
        tried
    });
    // An ended thread is counted for a moment longer.
    let end = Instant::now() + MAX_WAIT;
    while count() > before && Instant::now() < end {
        thread::yield_now();
    }
    tried.map_err(|error| start_error("a thread", &error))
}

/// Returns the number of threads of this process, or `None` without `/proc`.
pub fn count() -> Option<usize> {
    fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}
