//! Lists of processors as on the command line, and pinning to them.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Processors that this process was allowed to use before it was first pinned.
static BEFORE_PINNING: OnceLock<CpuList> = OnceLock::new();

/// Processors by number, as in `0,2-3`; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuList(Vec<usize>);

impl CpuList {
    /// Returns the processors that this process may use.
    pub fn available() -> Result<Self> {
        Self::of(None)
    }

    /// Returns the processors that this process was allowed to use before it was pinned. Server and
    /// generator can be spread over these.
    pub fn before_pinning() -> Result<Self> {
        BEFORE_PINNING.get().cloned().map_or_else(Self::available, Ok)
    }

    /// Returns the processors that the process `pid`, or the caller if `None`, may use.
    pub(crate) fn of(pid: Option<i32>) -> Result<Self> {
        let set = sched_getaffinity(pid.and_then(Pid::from_raw));
        let set = set.context("cannot read which processors a process may use")?;
        Ok(Self((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()))
    }

    /// Makes a list of these processors; `None` if there are none.
    pub(crate) fn new(mut numbers: Vec<usize>) -> Option<Self> {
        numbers.sort_unstable();
        numbers.dedup();
        (!numbers.is_empty()).then_some(Self(numbers))
    }

    /// Returns the numbers of the processors, in ascending order.
    pub fn numbers(&self) -> &[usize] {
        &self.0
    }

    /// Returns the numbers of the processors of a process; an empty list if the process is not
    /// pinned.
    pub(crate) fn numbers_of(cpus: Option<&Self>) -> Vec<usize> {
        cpus.map_or_else(Vec::new, |cpus| cpus.numbers().to_vec())
    }

    /// Returns the first `count` processors, or all if there are fewer.
    #[must_use]
    pub fn first(&self, count: NonZeroUsize) -> Self {
        Self(self.0.iter().copied().take(count.get()).collect())
    }

    /// Pins the calling thread, and every thread and process that it starts from now on, to these
    /// processors.
    pub fn pin(&self) -> Result<()> {
        let available = Self::available()?;
        BEFORE_PINNING.get_or_init(|| available.clone());
        pin_to(&self.set()).with_context(|| {
            format!("cannot pin to processors {self}; this process may use {available}")
        })
    }

    /// Converts the list to the form that the kernel takes.
    pub(crate) fn set(&self) -> CpuSet {
        let mut set = CpuSet::new();
        for &cpu in &self.0 {
            set.set(cpu);
        }
        set
    }
}

/// Pins the calling thread to these processors. It only makes system calls, so that a process may
/// call it between fork and exec.
pub(crate) fn pin_to(cpus: &CpuSet) -> rustix::io::Result<()> {
    sched_setaffinity(None, cpus)?;
    // The kernel silently leaves out processors that do not exist.
    if sched_getaffinity(None)? == *cpus { Ok(()) } else { Err(Errno::INVAL) }
}

impl FromStr for CpuList {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number =
                |text: &str| text.parse::<usize>().ok().filter(|&cpu| cpu < CpuSet::MAX_CPU);
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
        // Pinned in a thread of its own, because other tests run on this one.
        let pinned = std::thread::spawn(|| {
            CpuList::available().unwrap().first(NonZeroUsize::MIN).pin().unwrap();
            (CpuList::available().unwrap().numbers().len(), CpuList::before_pinning().unwrap())
        });
        assert_eq!(pinned.join().unwrap(), (1, before));
    }
}
