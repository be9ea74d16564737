//! CPU time of the calling thread, and its wait for a processor.

use std::fs;
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
    /// Returns the CPU time of the calling thread since its start.
    pub fn now() -> Self {
        getrusage(UsageWho::RUSAGE_THREAD).map_or_else(
            |_| Self::default(),
            |usage| Self {
                user: Duration::from_micros(usage.user_time().num_microseconds().cast_unsigned()),
                system: Duration::from_micros(
                    usage.system_time().num_microseconds().cast_unsigned(),
                ),
            },
        )
    }

    pub fn since(self, begin: Self) -> Self {
        Self {
            user: self.user.saturating_sub(begin.user),
            system: self.system.saturating_sub(begin.system),
        }
    }
}

/// Returns the time since its start for which the calling thread was ready to run and had no
/// processor: the second number of `schedstat` (`Documentation/scheduler/sched-stats.rst` of
/// Linux). `None` if the kernel does not count it.
pub(crate) fn cpu_wait() -> Option<Duration> {
    parse_wait(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

fn parse_wait(schedstat: &str) -> Option<Duration> {
    schedstat.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_for_a_processor_is_the_second_number_of_schedstat() {
        assert_eq!(parse_wait("1500 27783818 3\n"), Some(Duration::from_nanos(27_783_818)));
        assert_eq!(parse_wait(""), None);
    }
}
