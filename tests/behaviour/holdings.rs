//! Descriptors, processes and threads that a server holds: their number must not grow with clients
//! that have left.

use crate::server::{Server, WORKERS};
use crate::wait::{self, PATIENCE};

/// Growth that is allowed between two measurements: a server that was measured early may still be
/// starting the workers of its pool, or loops with their descriptors. Tests have more clients than
/// this, so that a leak of one item per client is noticed.
const STILL_TO_COME: usize = WORKERS;

/// Number of zombies, processes, threads and descriptors of a server at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Holdings {
    zombies: usize,
    processes: usize,
    threads: usize,
    open_files: usize,
}

impl Holdings {
    pub fn of(server: &Server) -> Self {
        Self {
            zombies: server.zombies(),
            processes: server.processes().len(),
            threads: server.process().threads(),
            open_files: server.process().open_files().len(),
        }
    }

    /// Waits until the server holds no more than this again. A crowd may take long to leave; the
    /// test fails only if the numbers stop falling for `PATIENCE`.
    #[track_caller]
    pub fn await_return_of(self, server: &Server) {
        let mut now = Self::of(server);
        while !now.is_within(self) {
            let before = now;
            let goes_on = wait::holds_within(PATIENCE, || {
                now = Self::of(server);
                now.is_within(self) || now.sum() < before.sum()
            });
            assert!(goes_on, "it holds {now:?}, and before {self:?}");
        }
    }

    fn sum(self) -> usize {
        self.zombies + self.processes + self.threads + self.open_files
    }

    fn is_within(self, bound: Self) -> bool {
        self.zombies == 0
            && self.processes <= bound.processes + STILL_TO_COME
            && self.threads <= bound.threads + STILL_TO_COME
            && self.open_files <= bound.open_files + STILL_TO_COME
    }
}
