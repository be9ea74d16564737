//! CPU time of the calling thread.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// CPU time, in user mode and in the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ThreadUsage {
    pub user: Duration,
    pub system: Duration,
}

impl ThreadUsage {
    /// What the calling thread has used since it was started.
    pub fn now() -> Self {
        getrusage(UsageWho::RUSAGE_THREAD).map_or_else(
            |_| Self::default(),
            |usage| Self {
                user: Duration::from_micros(usage.user_time().num_microseconds().cast_unsigned()),
                system: Duration::from_micros(usage.system_time().num_microseconds().cast_unsigned()),
            },
        )
    }

    pub fn since(self, begin: Self) -> Self {
        Self { user: self.user.saturating_sub(begin.user), system: self.system.saturating_sub(begin.system) }
    }
}
