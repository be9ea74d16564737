//! `faults`: page faults of the server's processes, including those of ended children.
//!
//! A minor fault gives a process a page without a disk access, such as after a fork, for the stack
//! of a new thread or for fresh memory. A major fault waits for a disk.

use anyhow::Result;
use procfs::process::Stat;

use super::definition::{Probe, Read, Values};
use super::tree::Tree;

pub(super) const PROBE: Probe = Probe { name: "faults", read: Read::Growth(read) };

fn read(tree: &Tree) -> Result<Values> {
    tree.ensure_ended_children_count()?;
    let sum = |count: fn(&Stat) -> u64| {
        tree.members.iter().map(|member| count(&member.stat)).sum::<u64>() as f64
    };
    Ok(vec![
        ("page_faults_minor", sum(|stat| stat.minflt + stat.cminflt)),
        ("page_faults_major", sum(|stat| stat.majflt + stat.cmajflt)),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::Watch;
    use super::super::fixture::Shell;

    #[test]
    fn faults_of_children_count_after_they_ended() {
        let mut shell = Shell::start("echo; read line; (:) ; echo; read line");
        let watch = Watch::begin(shell.pid());
        shell.ask();
        let faults = watch.end().values["page_faults_minor"];
        // The kernel copies the pages that a forked child writes to.
        assert!(faults > 10.0, "{faults}");
    }
}
