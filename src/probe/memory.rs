//! `memory`: memory that the server's processes hold at the end of the measured part, and the most
//! that each of them ever held.
//!
//! Two amounts are reported: all resident memory, and the part without files. A page of a file,
//! such as the program itself, is divided among all processes of the machine that map it, so its
//! share changes when an unrelated process starts or ends. A comparison of two moments needs the
//! memory without files.

use anyhow::{Context, Result};
use procfs::process::Process;
use procfs::{ProcError, ProcResult};

use super::definition::{Probe, Read, Values};
use super::tree::{Tree, unless_gone};

pub(super) const PROBE: Probe = Probe { name: "memory", read: Read::AtEnd(read) };

fn read(tree: &Tree) -> Result<Values> {
    Ok(vec![
        ("memory_pss_bytes", sum(tree, proportional_set_size)?),
        ("memory_anonymous_bytes", sum(tree, anonymous)?),
        ("memory_peak_rss_bytes", sum(tree, peak_rss)?),
    ])
}

/// Returns the resident memory without files, of the process `pid` and its descendants at this
/// moment, in bytes.
///
/// # Errors
/// When the memory can't be read.
pub fn anonymous_now(pid: u32) -> Result<f64> {
    sum(&Tree::look(pid)?, anonymous)
}

/// Returns the sum over all processes. A process that is gone holds nothing.
fn sum(tree: &Tree, read: fn(&Process) -> ProcResult<u64>) -> Result<f64> {
    let mut sum = 0;
    for member in &tree.members {
        let bytes = unless_gone(Process::new(member.pid).and_then(|process| read(&process)));
        let bytes =
            bytes.with_context(|| format!("cannot read the memory of process {}", member.pid))?;
        sum += bytes.unwrap_or(0);
    }
    Ok(sum as f64)
}

/// Reads the resident memory in bytes. Shared pages are divided among the processes that share
/// them.
fn proportional_set_size(process: &Process) -> ProcResult<u64> {
    rollup(process, &["Pss"])
}

/// Reads the part of the resident memory that is not of files: private memory, and memory shared by
/// the server's processes. The result is in bytes.
fn anonymous(process: &Process) -> ProcResult<u64> {
    rollup(process, &["Pss_Anon", "Pss_Shmem"])
}

/// Returns the sum of some fields of `smaps_rollup`, in bytes. A field that the kernel does not
/// have is an error, not zero: `Pss_Anon` came with Linux 5.4.
fn rollup(process: &Process, fields: &[&str]) -> ProcResult<u64> {
    let maps = process.smaps_rollup()?.memory_map_rollup.0;
    let values = maps.first().map(|map| &map.extension.map);
    let value = |field| values.and_then(|values| values.get(field));
    fields.iter().map(|&field| value(field).copied().ok_or_else(|| untold(field))).sum()
}

/// Reads the most resident memory that the process ever had, with shared pages in full, in bytes. A
/// process that has ended has none.
fn peak_rss(process: &Process) -> ProcResult<u64> {
    let status = process.status()?;
    let has_ended = status.state.starts_with(['Z', 'X']);
    let kib = status.vmhwm.or(has_ended.then_some(0)).ok_or_else(|| untold("VmHWM"))?;
    Ok(kib * 1024)
}

fn untold(name: &str) -> ProcError {
    ProcError::Other(format!("this kernel does not report {name}"))
}

#[cfg(test)]
mod tests {
    use super::super::Watch;
    use super::super::fixture::Shell;
    use super::*;

    #[test]
    fn the_peak_is_no_less_than_the_current_memory() {
        let shell = Shell::start("echo; read line");
        let readings = Watch::begin(shell.pid()).end();
        let pss = readings.values["memory_pss_bytes"];
        assert!(pss > 0.0 && readings.values["memory_peak_rss_bytes"] >= pss, "{readings:?}");
    }

    #[test]
    fn memory_without_files_is_a_part_of_all() {
        let shell = Shell::start("echo; read line");
        let values = Watch::begin(shell.pid()).end().values;
        let anonymous = values["memory_anonymous_bytes"];
        assert!(anonymous > 0.0 && anonymous < values["memory_pss_bytes"], "{values:?}");
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
        assert!(anonymous_now(u32::MAX >> 1).is_err());
    }
}
