//! Time that some processors spent on tasks, and time that they were idle, between two looks at
//! `/proc/stat`.
//!
//! A kernel samples the time of tasks at its ticks, and 300 ms hold few of them. The idle time of a
//! processor is exact on kernels that stop the tick while it is idle. So the time that tasks used
//! is computed as the rest of the elapsed time.
//!
//! The time of interrupts, in which packets of loopback are received, is a part of the interrupted
//! task's time on some kernels, and not on those with `CONFIG_IRQ_TIME_ACCOUNTING`. A task's own
//! time can be subtracted only if it is known which case applies: a fifth of a busy server's time
//! is in interrupts.

use std::fs;
use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context, Result};
use procfs::{ConfigSetting, ticks_per_second};

use crate::cpus::CpuList;

/// Fields of a processor's line in `/proc/stat`, where field 0 is its name (`proc_stat(5)`).
const IDLE: [usize; 2] = [4, 5];
const INTERRUPTS: [usize; 2] = [6, 7];
const STEAL: [usize; 1] = [8];

/// The kernel's option to account interrupts apart from the time of tasks.
const APART: &str = "CONFIG_IRQ_TIME_ACCOUNTING";

/// Time counters of some processors, as read at one look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    at: Instant,
    processors: usize,
    idle_s: f64,
    interrupts_s: f64,
    steal_s: f64,
}

/// Time between two looks, in seconds, summed over all processors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spent {
    pub by_tasks_s: f64,
    pub idle_s: f64,
}

impl Look {
    /// Looks at the processors.
    ///
    /// # Errors
    /// When `/proc/stat` can't be read, or has no line for one of the processors.
    pub fn at(cpus: &CpuList) -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        Self::parse(&stat, cpus, Instant::now())
    }

    fn parse(stat: &str, cpus: &CpuList, at: Instant) -> Result<Self> {
        let mut look = Self {
            at,
            processors: cpus.numbers().len(),
            idle_s: 0.0,
            interrupts_s: 0.0,
            steal_s: 0.0,
        };
        for cpu in cpus.numbers() {
            let name = format!("cpu{cpu} ");
            let line = stat.lines().find(|line| line.starts_with(&name));
            let line =
                line.with_context(|| format!("/proc/stat does not report processor {cpu}"))?;
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            // Old kernels have fewer fields.
            let ticks = |field: usize| {
                fields.get(field).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
            };
            let seconds = |fields: &[usize]| {
                fields.iter().map(|&field| ticks(field)).sum::<u64>() as f64
                    / ticks_per_second() as f64
            };
            look.idle_s += seconds(&IDLE);
            look.interrupts_s += seconds(&INTERRUPTS);
            look.steal_s += seconds(&STEAL);
        }
        Ok(look)
    }

    /// Returns how the time since an earlier look was spent.
    pub fn since(self, begin: Self) -> Spent {
        self.spent_since(begin, interrupts_are_apart())
    }

    fn spent_since(self, begin: Self, interrupts_are_apart: bool) -> Spent {
        let all_s = self.at.duration_since(begin.at).as_secs_f64() * self.processors as f64;
        // The idle time may go back if a processor is offline, or if the kernel corrects the time.
        let idle_s = (self.idle_s - begin.idle_s).clamp(0.0, all_s);
        let steal_s = (self.steal_s - begin.steal_s).max(0.0);
        let interrupts_s = (self.interrupts_s - begin.interrupts_s).max(0.0);
        let of_nobody_s = steal_s + if interrupts_are_apart { interrupts_s } else { 0.0 };
        Spent { by_tasks_s: (all_s - idle_s - of_nobody_s).max(0.0), idle_s }
    }
}

/// True if the time of interrupts is not a part of the time of tasks. If the kernel's configuration
/// can't be read, this is assumed: the time of others is then too short, rather than too long.
fn interrupts_are_apart() -> bool {
    static APART_HERE: LazyLock<bool> = LazyLock::new(|| {
        procfs::kernel_config()
            .map_or(true, |config| matches!(config.get(APART), Some(ConfigSetting::Yes)))
    });
    *APART_HERE
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_that_is_neither_idle_nor_stolen_is_of_tasks_and_perhaps_of_interrupts() {
        let cpus = "0,10".parse().unwrap();
        let begin = Instant::now();
        let look = |stat: &str, after_ms| {
            Look::parse(stat, &cpus, begin + Duration::from_millis(after_ms)).unwrap()
        };
        let first = look(
            "cpu  9 9\ncpu0 1 0 1 100 0 0 0 0 0 0\ncpu1 0 0 0 0\ncpu10 1 0 1 200 5 1 2 3 0 0\n",
            0,
        );
        let second = look(
            "cpu  9 9\ncpu0 3 0 3 140 0 0 5 0 0 0\ncpu1 7 0 0 0\ncpu10 1 0 1 250 15 1 2 8 0 0\n",
            1000,
        );
        for (interrupts_are_apart, by_tasks_s) in [(true, 0.9), (false, 0.95)] {
            let spent = second.spent_since(first, interrupts_are_apart);
            assert!((spent.idle_s - 1.0).abs() < 1e-9, "{spent:?}");
            assert!((spent.by_tasks_s - by_tasks_s).abs() < 1e-9, "{spent:?}");
        }
    }

    #[test]
    fn a_processor_that_does_not_exist_is_named() {
        let error =
            Look::parse("cpu0 1 1 1 1\n", &"3".parse().unwrap(), Instant::now()).unwrap_err();
        assert_eq!(error.to_string(), "/proc/stat does not report processor 3");
    }
}
