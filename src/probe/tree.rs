//! A process and all its descendants, found once per look for all probes.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use procfs::process::{Process, Stat, Task, all_processes};
use procfs::{ProcError, ProcResult};
use rustix::process::Signal;

use super::server::Server;
use crate::cgroup::Group;
use crate::cpus::CpuList;

/// Most threads that are asked for their children in one look, not counting processes with one
/// thread. To ask a thread takes 5 µs, which is 25 ms for 5,000. To ask a process for its parent
/// takes 7 µs, but then every process of the machine has to be asked.
const MOST_ASKED: u64 = 128;

/// File of a thread's children. A kernel that is built without this feature does not have it.
const OWN_CHILDREN: &str = "/proc/thread-self/children";

/// Bit of `SigIgn` in `/proc/PID/status` that stands for SIGCHLD.
const CHILD_SIGNAL: u64 = 1 << (Signal::CHILD.as_raw() - 1);

/// A process and its descendants, as they were at one look. Descendants that end during the look
/// are left out.
#[derive(Debug)]
pub(super) struct Tree {
    /// Members of the tree. The first is the process itself.
    pub(super) members: Vec<Member>,
    /// Cgroup that holds all members, and no other process.
    pub(super) group: Option<Group>,
    /// ID of a process for which the kernel does not keep the time and the counts of ended
    /// children.
    forgetful: Option<i32>,
    /// Moment up to which the kernel has counted the CPU time of the tree.
    pub(super) counted_until: Instant,
}

/// A process.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) pid: i32,
    pub(super) stat: Stat,
    /// CPU time of all its threads, including threads that have ended.
    pub(super) cpu: Duration,
}

impl Tree {
    /// Finds the processes of a server, and reads what most probes need about them.
    pub(super) fn of(server: &Server) -> Result<Self> {
        server.charge();
        Ok(Self { group: server.group.clone(), ..Self::look(server.pid)? })
    }

    /// Finds a process and its descendants.
    pub(super) fn look(pid: u32) -> Result<Self> {
        Self::look_asking(pid, MOST_ASKED)
    }

    /// Finds a process and its descendants. At most `most_asked` threads of processes with several
    /// threads are asked for their children; after that, all processes are asked for their parents.
    fn look_asking(pid: u32, most_asked: u64) -> Result<Self> {
        let counted_until = Instant::now();
        let root = Member::look(pid.cast_signed()).context("cannot look at the server")?;
        let root = root.with_context(|| format!("the server's process {pid} is gone"))?;
        let mut tree = Self { members: vec![root], group: None, forgetful: None, counted_until };
        let mut left = most_asked;
        let mut next = 0;
        while let Some(member) = tree.members.get(next) {
            let threads = member.threads();
            // Processes with one thread are always asked: this is cheaper than to ask every process
            // for its parent.
            let price = if threads > 1 { threads } else { 0 };
            if price > left || !Path::new(OWN_CHILDREN).exists() {
                tree.add_descendants(next)?;
                break;
            }
            left -= price;
            let children = unless_gone(member.children())?.unwrap_or_default();
            tree.add(next, &children)?;
            next += 1;
        }
        Ok(tree)
    }

    /// Adds the descendants of the members from `next` on. To find them, it asks all processes of
    /// the machine for their parents.
    fn add_descendants(&mut self, mut next: usize) -> Result<()> {
        let mut children = parents_and_children()?;
        while let Some(member) = self.members.get(next) {
            let found = children.remove(&member.pid).unwrap_or_default();
            self.add(next, &found)?;
            next += 1;
        }
        Ok(())
    }

    fn add(&mut self, parent: usize, children: &[i32]) -> Result<()> {
        for &child in children {
            self.members.extend(Member::look(child)?);
        }
        let parent = &self.members[parent];
        if !children.is_empty() && parent.ignores_the_end_of_children()? {
            self.forgetful = Some(parent.pid);
        }
        Ok(())
    }

    /// Returns the processors that the server may use: those of its first process.
    pub(super) fn cpus(&self) -> Result<CpuList> {
        CpuList::of(Some(self.members[0].pid))
    }

    /// Refuses a tree in which the kernel does not keep what ended children used, because sums over
    /// the tree would be too low.
    pub(super) fn ensure_ended_children_count(&self) -> Result<()> {
        match self.forgetful {
            None => Ok(()),
            Some(pid) => bail!(
                "process {pid} ignores SIGCHLD, so that the kernel forgets what its ended children used"
            ),
        }
    }
}

impl Member {
    /// Reads a process; `None` if it is gone.
    fn look(pid: i32) -> ProcResult<Option<Self>> {
        let Some(stat) = unless_gone(Process::new(pid).and_then(|process| process.stat()))? else {
            return Ok(None);
        };
        Ok(cpu_clock(pid).map(|cpu| Self { pid, stat, cpu }))
    }

    pub(super) fn threads(&self) -> u64 {
        self.stat.num_threads.unsigned_abs()
    }

    /// Returns the children that its threads forked, and the children that they inherited from
    /// ended threads.
    fn children(&self) -> ProcResult<Vec<i32>> {
        let mut children = Vec::new();
        self.each_task(|task| {
            children.extend(task.children()?);
            Ok(())
        })?;
        Ok(children.into_iter().map(u32::cast_signed).collect())
    }

    /// Calls `look` with every thread that exists. A thread that ends in the meantime is left out.
    pub(super) fn each_task(
        &self,
        mut look: impl FnMut(&Task) -> ProcResult<()>,
    ) -> ProcResult<()> {
        let process = Process::new(self.pid)?;
        if self.threads() <= 1 {
            // The usual case of servers with many processes. Listing the one thread would double
            // the time.
            return look(&process.task_main_thread()?);
        }
        for task in process.tasks()? {
            unless_gone(task.and_then(|task| look(&task)))?;
        }
        Ok(())
    }

    /// True if the process ignores SIGCHLD. By POSIX, the kernel then does not keep what its ended
    /// children used.
    fn ignores_the_end_of_children(&self) -> ProcResult<bool> {
        let status = unless_gone(Process::new(self.pid).and_then(|process| process.status()))?;
        Ok(status.is_some_and(|status| status.sigign & CHILD_SIGNAL != 0))
    }
}

/// Returns the children of every process of the machine that has any.
fn parents_and_children() -> ProcResult<HashMap<i32, Vec<i32>>> {
    let mut children = HashMap::<i32, Vec<i32>>::new();
    for process in all_processes()? {
        if let Some(stat) = unless_gone(process.and_then(|process| process.stat()))? {
            children.entry(stat.ppid).or_default().push(stat.pid);
        }
    }
    Ok(children)
}

/// Returns the CPU time of all threads of a process, including threads that have ended. Ticks of 10
/// ms, as in `/proc`, would lose most of what 512 processes use between two looks.
pub(super) fn cpu_clock(pid: i32) -> Option<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid)).ok()?;
    Some(clock_gettime(clock).ok()?.into())
}

/// Returns what was read about a process or thread; `None` if it has ended in the meantime, which
/// is no error.
pub(super) fn unless_gone<T>(read: ProcResult<T>) -> ProcResult<Option<T>> {
    match read {
        Err(ProcError::NotFound(_)) => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::thread;

    use super::super::fixture::Shell;
    use super::*;

    fn pids(tree: &Tree) -> Vec<i32> {
        tree.members.iter().map(|member| member.pid).collect()
    }

    #[test]
    fn children_of_any_thread_are_found_in_both_ways() {
        let (sender, receiver) = mpsc::channel();
        let (looked, has_looked) = mpsc::channel::<()>();
        let forker = thread::spawn(move || {
            let mut command = Command::new("sh");
            command
                .args(["-c", "(echo; exec cat); :"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            let mut shell = command.spawn().unwrap();
            BufReader::new(shell.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
            sender.send(shell.id()).unwrap();
            // The wait ends when no sender is left.
            let _ = has_looked.recv();
            drop(shell.stdin.take());
            shell.wait().unwrap();
        });
        let shell = receiver.recv().unwrap();
        let family = pids(&Tree::look(shell).unwrap());
        assert_eq!(family.len(), 2);
        for most_asked in [u64::MAX, 0] {
            let tree = Tree::look_asking(std::process::id(), most_asked).unwrap();
            assert!(tree.members[0].threads() > 1);
            let found = pids(&tree);
            assert!(
                family.iter().all(|pid| found.contains(pid)),
                "{family:?} in {found:?} of {most_asked}"
            );
        }
        drop(looked);
        forker.join().unwrap();
    }

    #[test]
    fn a_process_with_children_that_ignores_their_end_is_refused() {
        let mut shell = Shell::start("echo; exec env --ignore-signal=CHLD cat");
        // `exec` replaces the shell by `cat`, because shells can't be told to ignore SIGCHLD.
        shell.ask();
        let mut tree = Tree::look(shell.pid()).unwrap();
        tree.ensure_ended_children_count().unwrap();
        // Any process can be used as the child here.
        tree.add(0, &[std::process::id().cast_signed()]).unwrap();
        let error = tree.ensure_ended_children_count().unwrap_err();
        assert!(error.to_string().contains("ignores SIGCHLD"), "{error}");
    }
}
