//! Threads for trial: whether those that a model begins with can be had.
//!
//! Tried before it begins, since runtimes panic or hang where they are refused one. Limits alone don't tell: other
//! processes of the same user count too, and a container has limits of its own.

use std::fs;
use std::io;
use std::sync::{PoisonError, RwLock};
use std::thread::{self, Builder};

use crate::blocking::STACK_BYTES;

/// How often it is looked whether they are gone, which takes no more than a few times.
const LOOKS: usize = 1000;

/// Starts `count` threads that are there all at once, and ends them again.
pub fn threads(count: usize) -> io::Result<()> {
    let (before, gate) = (tasks(), RwLock::new(()));
    let tried = thread::scope(|scope| {
        // Nobody passes before the last one is there.
        let closed = gate.write().unwrap_or_else(PoisonError::into_inner);
        let start = |_| Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || drop(gate.read()));
        let tried = (0..count).try_for_each(|i| start(i).map(drop));
        drop(closed);
        tried
    });
    // One that has ended counts for a moment longer. Others of this process may have begun meanwhile.
    for _ in 0..LOOKS {
        if tasks() <= before {
            break;
        }
        thread::yield_now();
    }
    tried
}

/// The threads of this process, where there is a place to look.
fn tasks() -> Option<usize> {
    fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}
