//! Time of some processors that their tasks used, and that they were idle, between two looks at
//! `/proc/stat`.
//!
//! A kernel samples the time of tasks at its ticks, and 300 ms hold few of them. The time that a
//! processor was idle is exact on kernels that stop the tick then, so that what was used is told as what is
//! left of the clock's time.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use procfs::ticks_per_second;

use crate::cpus::CpuList;

/// Places in a processor's line of `/proc/stat`, its name being 0 (`proc_stat(5)`).
const IDLE: [usize; 2] = [4, 5];
const INTERRUPTS_AND_STEAL: [usize; 3] = [6, 7, 8];

/// One look at some processors.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    at: Instant,
    processors: usize,
    idle_s: f64,
    /// Soft interrupts count as the task's time on most kernels, and steal as nobody's.
    others_s: f64,
}

/// Time between two looks, in seconds, all processors together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spent {
    pub by_tasks_s: f64,
    pub idle_s: f64,
}

impl Look {
    /// Looks at the processors.
    ///
    /// # Errors
    /// When `/proc/stat` does not tell of one of them.
    pub fn at(cpus: &CpuList) -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        Self::parse(&stat, cpus, Instant::now())
    }

    fn parse(stat: &str, cpus: &CpuList, at: Instant) -> Result<Self> {
        let mut look = Self { at, processors: cpus.numbers().len(), idle_s: 0.0, others_s: 0.0 };
        for cpu in cpus.numbers() {
            let name = format!("cpu{cpu} ");
            let line = stat.lines().find(|line| line.starts_with(&name));
            let line = line.with_context(|| format!("/proc/stat does not tell of processor {cpu}"))?;
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            // Old kernels have fewer fields.
            let ticks =
                |field: usize| fields.get(field).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            let seconds = |ticks: u64| ticks as f64 / ticks_per_second() as f64;
            look.idle_s += seconds(IDLE.into_iter().map(ticks).sum());
            look.others_s += seconds(INTERRUPTS_AND_STEAL.into_iter().map(ticks).sum());
        }
        Ok(look)
    }

    /// What became of the time since an earlier look.
    pub fn since(self, begin: Self) -> Spent {
        let all_s = self.at.duration_since(begin.at).as_secs_f64() * self.processors as f64;
        // An offline processor, or one whose idle time is corrected, may go back.
        let idle_s = (self.idle_s - begin.idle_s).clamp(0.0, all_s);
        let others_s = (self.others_s - begin.others_s).max(0.0);
        Spent { by_tasks_s: (all_s - idle_s - others_s).max(0.0), idle_s }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_neither_idle_nor_an_interrupt_nor_stolen_is_of_tasks() {
        let cpus = "0,10".parse().unwrap();
        let begin = Instant::now();
        let look =
            |stat: &str, after_ms| Look::parse(stat, &cpus, begin + Duration::from_millis(after_ms)).unwrap();
        let first =
            look("cpu  9 9\ncpu0 1 0 1 100 0 0 0 0 0 0\ncpu1 0 0 0 0\ncpu10 1 0 1 200 5 1 2 3 0 0\n", 0);
        let second =
            look("cpu  9 9\ncpu0 3 0 3 140 0 0 5 0 0 0\ncpu1 7 0 0 0\ncpu10 1 0 1 250 15 1 2 8 0 0\n", 1000);
        let Spent { by_tasks_s, idle_s } = second.since(first);
        assert!((idle_s - 1.0).abs() < 1e-9 && (by_tasks_s - 0.9).abs() < 1e-9, "{by_tasks_s}, {idle_s}");
    }

    #[test]
    fn a_processor_that_there_is_not_is_named() {
        let error = Look::parse("cpu0 1 1 1 1\n", &"3".parse().unwrap(), Instant::now()).unwrap_err();
        assert_eq!(error.to_string(), "/proc/stat does not tell of processor 3");
    }
}
