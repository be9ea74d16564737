//! `context_switches`: number of times that the server's threads left a processor, to wait
//! (voluntary) or for another thread (involuntary), and the time for which they were ready to run
//! but had no processor.
//!
//! Both are read in one walk over the threads, which takes most of the time. Threads of one server
//! also wait for each other, so the wait of a server with many threads is long even if nothing else
//! runs.
//!
//! The kernel counts per thread, and a thread that ends takes its counts with it. With a thread or
//! process per connection and short connections, only a small part of the true number can be read.
//! So there is no number if the threads or processes that ended did more than [`MOST_MISSED`] of
//! the work. A process that ended is detected by the page faults that its parent inherited. A
//! thread that ended is detected by CPU time of its process that none of the living threads has
//! used.

use std::collections::HashMap;
use std::io::BufRead;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use procfs::{FromBufRead, ProcError, ProcResult};

use super::definition::{Finish, Probe, Read, Values};
use super::tasks;
use super::tree::{Member, Tree, cpu_clock, unless_gone};

pub(super) const PROBE: Probe = Probe { name: "context_switches", read: Read::Both(begin) };

/// Most threads that are read at the beginning, within the measured part. A process with one thread
/// takes 17 µs, so 1,000 of them take 17 ms of the generator's processor.
const MOST_TASKS: u64 = 1000;

/// Largest share of the CPU time whose context switches may be missing.
const MOST_MISSED: f64 = 0.01;

/// Result of one look.
#[derive(Debug, Default)]
struct Look {
    processes: Vec<i32>,
    /// Context switches, by thread.
    switches: HashMap<i32, Switches>,
    /// For each thread: time since its start for which it was ready to run but had no processor.
    waits: HashMap<i32, Duration>,
    /// CPU time of all threads of the living processes, including threads that have ended.
    used: Duration,
    /// Part of `used` that is from threads that have ended.
    ended: Duration,
    /// Page faults of processes that have ended and were waited for. Every process has page faults.
    inherited_faults: u64,
}

/// Context switches of a thread since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Switches {
    voluntary: u64,
    involuntary: u64,
}

fn begin(tree: &Tree) -> Result<Finish> {
    let tasks = tasks::count(tree);
    ensure!(
        tasks <= MOST_TASKS,
        "to read {tasks} tasks would disturb the measurement; at most {MOST_TASKS} are read"
    );
    let begin = Look::at(tree)?;
    Ok(Box::new(move |tree| Look::at(tree)?.since(&begin)))
}

impl Look {
    fn at(tree: &Tree) -> Result<Self> {
        tree.ensure_ended_children_count()?;
        let mut look = Self::default();
        for member in &tree.members {
            let added = unless_gone(look.add(member));
            added.with_context(|| format!("cannot read the tasks of process {}", member.pid))?;
            look.processes.push(member.pid);
            look.inherited_faults += member.stat.cminflt;
        }
        Ok(look)
    }

    /// Adds the threads of a process.
    fn add(&mut self, member: &Member) -> ProcResult<()> {
        let mut living = Duration::ZERO;
        member.each_task(|task| {
            let schedule = task.schedstat()?;
            self.switches.insert(task.tid, task.read("status")?);
            self.waits.insert(task.tid, Duration::from_nanos(schedule.run_delay));
            living += Duration::from_nanos(schedule.sum_exec_runtime);
            Ok(())
        })?;
        // Read after the threads. The time that threads use in between counts as time of ended
        // threads. At the second look the server is at rest, so threads use no time in between; at
        // the first look, the value can only be too high.
        let used = cpu_clock(member.pid).unwrap_or_default();
        self.used += used;
        self.ended += used.saturating_sub(living);
        Ok(())
    }

    fn since(&self, begin: &Self) -> Result<Values> {
        self.ensure_complete(begin)?;
        let mut sum = Switches::default();
        for (tid, end) in &self.switches {
            // A thread that was started in the meantime had no switches before.
            let begin = begin.switches.get(tid).copied().unwrap_or_default();
            sum.voluntary += end.voluntary.saturating_sub(begin.voluntary);
            sum.involuntary += end.involuntary.saturating_sub(begin.involuntary);
        }
        Ok(vec![
            ("context_switches_voluntary", sum.voluntary as f64),
            ("context_switches_involuntary", sum.involuntary as f64),
            ("server_cpu_wait_s", self.waited_since(begin).as_secs_f64()),
        ])
    }

    fn waited_since(&self, begin: &Self) -> Duration {
        let begin = |tid: &i32| begin.waits.get(tid).copied().unwrap_or_default();
        self.waits.iter().map(|(tid, end)| end.saturating_sub(begin(tid))).sum()
    }

    fn ensure_complete(&self, begin: &Self) -> Result<()> {
        let none_is_gone = begin.processes.iter().all(|pid| self.processes.contains(pid));
        ensure!(
            none_is_gone && self.inherited_faults == begin.inherited_faults,
            "processes ended meanwhile, and took their counts with them"
        );
        let used = self.used.saturating_sub(begin.used).as_secs_f64();
        let missed = self.ended.saturating_sub(begin.ended).as_secs_f64();
        ensure!(
            missed <= used * MOST_MISSED,
            "threads that ended meanwhile took their counts with them, and did {:.0} % of the work",
            (missed / used).min(1.0) * 100.0
        );
        Ok(())
    }
}

/// Reads the two lines that are wanted of the 60 lines of `/proc/PID/task/TID/status`. `procfs`
/// makes a map of all of them, which takes three times as long as the kernel takes to write them.
impl FromBufRead for Switches {
    fn from_buf_read<R: BufRead>(mut status: R) -> ProcResult<Self> {
        let mut text = String::new();
        status.read_to_string(&mut text)?;
        let count = |name: &str| {
            let value =
                text.lines().rev().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            value.ok_or_else(|| ProcError::Other(format!("this kernel does not report {name}")))
        };
        Ok(Self {
            voluntary: count("voluntary_ctxt_switches:")?,
            involuntary: count("nonvoluntary_ctxt_switches:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::fixture::Shell;
    use super::super::{Readings, Watch};
    use super::*;

    fn readings(script: &str) -> Readings {
        let mut shell = Shell::start(script);
        let watch = Watch::begin(shell.pid());
        for _ in 0..20 {
            // Gives the shell time to wait: reading a line that is already there takes no context
            // switch.
            thread::sleep(Duration::from_millis(2));
            shell.ask();
        }
        watch.end()
    }

    #[test]
    fn a_process_that_waits_for_every_line_leaves_its_processor_as_often() {
        let readings = readings("echo; while read line; do echo; done");
        let voluntary = readings.values["context_switches_voluntary"];
        assert!((10.0..100.0).contains(&voluntary), "{voluntary}");
    }

    #[test]
    fn children_count() {
        let readings = readings("echo; (while read line; do echo; done); :");
        let voluntary = readings.values["context_switches_voluntary"];
        assert!((10.0..100.0).contains(&voluntary), "{voluntary}");
    }

    #[test]
    fn there_is_no_number_where_processes_came_and_went() {
        let readings = readings("echo; while read line; do (:); echo; done");
        assert!(!readings.values.contains_key("context_switches_voluntary"));
        let reason = &readings.missing["context_switches"];
        assert_eq!(reason, "processes ended meanwhile, and took their counts with them");
    }

    fn look(tasks: &[(i32, u64)], used_ms: u64, ended_ms: u64) -> Look {
        let switches = |&(tid, voluntary)| (tid, Switches { voluntary, involuntary: 1 });
        Look {
            processes: vec![1],
            switches: tasks.iter().map(switches).collect(),
            waits: tasks
                .iter()
                .map(|&(tid, waited_ms)| (tid, Duration::from_millis(waited_ms)))
                .collect(),
            used: Duration::from_millis(used_ms),
            ended: Duration::from_millis(ended_ms),
            inherited_faults: 0,
        }
    }

    #[test]
    fn there_is_no_number_where_threads_ended_that_did_some_of_the_work() {
        let begin = look(&[(1, 10), (2, 5)], 1000, 100);
        let error = look(&[(1, 20)], 2000, 111).since(&begin).unwrap_err();
        let told =
            "threads that ended meanwhile took their counts with them, and did 1 % of the work";
        assert_eq!(error.to_string(), told);
        // In a very short time, ended threads did all the work.
        let error = look(&[(1, 20)], 1001, 101).since(&begin).unwrap_err();
        assert!(error.to_string().ends_with("and did 100 % of the work"), "{error}");
    }

    #[test]
    fn there_is_no_number_where_a_process_is_gone_that_the_tree_did_not_wait_for() {
        let begin = Look { processes: vec![1, 2], ..look(&[(1, 10), (2, 5)], 1000, 100) };
        assert!(look(&[(1, 20)], 2000, 100).since(&begin).is_err());
    }

    #[test]
    fn threads_that_came_count_in_full_and_those_that_went_idle_do_not_matter() {
        let begin = look(&[(1, 10), (2, 5)], 1000, 100);
        let values = look(&[(1, 30), (3, 7)], 2000, 105).since(&begin).unwrap();
        let switches =
            [("context_switches_voluntary", 27.0), ("context_switches_involuntary", 1.0)];
        assert_eq!(values[..2], switches);
        assert_eq!(values[2], ("server_cpu_wait_s", 0.027));
    }

    #[test]
    fn a_status_is_read_by_name() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t3\n";
        let switches = Switches::from_buf_read(status.as_bytes()).unwrap();
        assert_eq!(switches, Switches { voluntary: 7, involuntary: 3 });
        assert!(Switches::from_buf_read(&b"Name:\tx\n"[..]).is_err());
    }
}
