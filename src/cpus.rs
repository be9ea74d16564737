//! Processors: lists of them as on the command line, and pinning to them.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors of this process before it was first pinned.
static BEFORE_PINNING: OnceLock<CpuList> = OnceLock::new();

/// Processors by number, as in `0,2-3`; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuList(Vec<usize>);

impl CpuList {
    /// The processors that this process may use.
    pub fn available() -> Result<Self> {
        Self::of(None)
    }

    /// The processors that this process might use before it was pinned: those that server and
    /// generator can be spread over.
    pub fn before_pinning() -> Result<Self> {
        BEFORE_PINNING.get().cloned().map_or_else(Self::available, Ok)
    }

    /// The processors that the process `pid` may use, or the caller.
    pub(crate) fn of(pid: Option<i32>) -> Result<Self> {
        let set = sched_getaffinity(pid.and_then(Pid::from_raw));
        let set = set.context("cannot read which processors a process may use")?;
        Ok(Self((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()))
    }

    /// These processors; `None` where there are none.
    pub(crate) fn new(mut numbers: Vec<usize>) -> Option<Self> {
        numbers.sort_unstable();
        numbers.dedup();
        (!numbers.is_empty()).then_some(Self(numbers))
    }

    /// Their numbers, in ascending order.
    pub fn numbers(&self) -> &[usize] {
        &self.0
    }

    /// The first `count` of them, or all where there are fewer.
    #[must_use]
    pub fn first(&self, count: NonZeroUsize) -> Self {
        Self(self.0.iter().copied().take(count.get()).collect())
    }

    /// Keeps the calling thread, and every thread and process that it starts from now on, on these processors.
    pub fn pin(&self) -> Result<()> {
        let available = Self::available()?;
        BEFORE_PINNING.get_or_init(|| available.clone());
        pin_to(&self.set())
            .with_context(|| format!("cannot pin to processors {self}; this process may use {available}"))
    }

    /// The same as the kernel wants it.
    pub(crate) fn set(&self) -> CpuSet {
        let mut set = CpuSet::new();
        for &cpu in &self.0 {
            set.set(cpu);
        }
        set
    }
}

/// Keeps the calling thread on these processors. It only makes system calls, so that a process may do it between fork and
/// exec.
pub(crate) fn pin_to(cpus: &CpuSet) -> rustix::io::Result<()> {
    sched_setaffinity(None, cpus)?;
    // The kernel leaves out those that there are not, without a word.
    if sched_getaffinity(None)? == *cpus { Ok(()) } else { Err(Errno::INVAL) }
}

impl FromStr for CpuList {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.parse::<usize>().ok().filter(|&cpu| cpu < CpuSet::MAX_CPU);
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => cpus.extend(first..=last),
                _ => bail!("`{part}` is no processor number or range; write a list like 0,2-3"),
            }
        }
        Self::new(cpus).context("a list of processors names one at least")
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_and_ranges() {
        assert_eq!("3,0-1,1".parse::<CpuList>().unwrap().numbers(), [0, 1, 3]);
        for text in ["", "a", "1-", "2-1", "0,,1", "99999"] {
            assert!(text.parse::<CpuList>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_processors_before_pinning_are_remembered() {
        let before = CpuList::available().unwrap();
        // A thread of its own, since the others' tests run on this one.
        let pinned = std::thread::spawn(|| {
            CpuList::available().unwrap().first(NonZeroUsize::MIN).pin().unwrap();
            (CpuList::available().unwrap().numbers().len(), CpuList::before_pinning().unwrap())
        });
        assert_eq!(pinned.join().unwrap(), (1, before));
    }
}
