//! `memory`: what the server's processes hold at the end of the measured part, and the most that
//! each of them ever held.

use anyhow::{Context, Result};
use procfs::process::{MemoryMap, Process};
use procfs::{ProcError, ProcResult};

use super::tree::{Tree, unless_gone};
use super::{Probe, Read, Values};

pub(super) const PROBE: Probe = Probe { name: "memory", read: Read::AtEnd(read) };

fn read(tree: &Tree) -> Result<Values> {
    Ok(vec![
        ("memory_pss_bytes", sum(tree, proportional_set_size)?),
        ("memory_peak_rss_bytes", sum(tree, peak_rss)?),
    ])
}

/// Resident memory (PSS) of the process `pid` and its descendants at this moment, in bytes.
///
/// # Errors
/// When it can't be read.
pub fn now(pid: u32) -> Result<f64> {
    sum(&Tree::look(pid)?, proportional_set_size)
}

/// The sum over all processes; one that is gone holds nothing.
fn sum(tree: &Tree, read: fn(&Process) -> ProcResult<u64>) -> Result<f64> {
    let mut sum = 0;
    for member in &tree.members {
        let bytes = unless_gone(Process::new(member.pid).and_then(|process| read(&process)));
        let bytes = bytes.with_context(|| format!("cannot read the memory of process {}", member.pid))?;
        sum += bytes.unwrap_or(0);
    }
    Ok(sum as f64)
}

/// Resident memory, shared pages divided among those who share them, in bytes.
fn proportional_set_size(process: &Process) -> ProcResult<u64> {
    let rollup = process.smaps_rollup()?.memory_map_rollup;
    let held = |map: &MemoryMap| map.extension.map.get("Pss").copied();
    rollup.0.iter().map(held).sum::<Option<u64>>().ok_or_else(|| untold("Pss"))
}

/// The most resident memory there ever was, shared pages in full, in bytes; nothing of a process
/// that has ended.
fn peak_rss(process: &Process) -> ProcResult<u64> {
    let status = process.status()?;
    let has_ended = status.state.starts_with(['Z', 'X']);
    let kib = status.vmhwm.or(has_ended.then_some(0)).ok_or_else(|| untold("VmHWM"))?;
    Ok(kib * 1024)
}

fn untold(name: &str) -> ProcError {
    ProcError::Other(format!("this kernel does not tell {name}"))
}

#[cfg(test)]
mod tests {
    use super::super::Watch;
    use super::super::fixture::Shell;
    use super::*;

    #[test]
    fn the_peak_is_no_less_than_what_is_held() {
        let shell = Shell::start("echo; read line");
        let readings = Watch::begin(shell.pid()).end();
        let pss = readings.values["memory_pss_bytes"];
        assert!(pss > 0.0 && readings.values["memory_peak_rss_bytes"] >= pss, "{readings:?}");
        assert!(now(shell.pid()).unwrap() > 0.0);
    }

    #[test]
    fn children_count() {
        let shell = Shell::start("(echo; exec cat); :");
        let tree = Tree::look(shell.pid()).unwrap();
        let mut parent = Tree::look(shell.pid()).unwrap();
        parent.members.truncate(1);
        assert!(sum(&tree, peak_rss).unwrap() > sum(&parent, peak_rss).unwrap());
    }

    #[test]
    fn the_memory_of_a_process_that_is_gone_is_not_known() {
        assert!(now(u32::MAX >> 1).is_err());
    }
}
