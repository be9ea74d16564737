//! What a server holds in descriptors, processes and threads: it must not grow with clients that are gone.

use crate::server::{Server, WORKERS};
use crate::wait::{self, PATIENCE};

/// What a server that was measured early may still have been making for itself: workers of a pool, loops with their
/// descriptors. Tests have more clients than that, so that it shows if each of them leaves something behind.
const STILL_TO_COME: usize = WORKERS;

/// What a server holds at one moment.
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

    /// Waits until the server holds no more than that again. A crowd may take long to leave, but not to go on with it.
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
