//! Suite of a gate: one server with several workloads. A gate starts each server once per block for
//! all workloads, so that no workload can have settings of its own for the server.

use anyhow::{Context, Result, ensure};

use crate::limits;
use crate::suite::{Suite, SuiteWorkload, axis};

/// Reads the suite, by its name or from its file.
///
/// # Errors
/// When it can't be read, or asks for what a gate does not do.
pub fn read(name_or_path: &str) -> Result<Suite> {
    let suite = Suite::read(name_or_path, false)?;
    let checked = check(&suite);
    checked.with_context(|| format!("the suite {name_or_path} can't be used for a gate"))?;
    Ok(suite)
}

fn check(suite: &Suite) -> Result<()> {
    let subjects = suite.subjects.len();
    ensure!(subjects == 1, "it has {subjects} subjects; leave the one whose changes are judged");
    for workload in &suite.workloads {
        check_workload(workload).with_context(|| format!("the workload {}", workload.name))?;
    }
    Ok(())
}

fn check_workload(SuiteWorkload { load, .. }: &SuiteWorkload) -> Result<()> {
    for (key, number) in
        [(axis::WORKERS, load.workers), (axis::HANDLER_THREADS, load.handler_threads)]
    {
        ensure!(number.is_none(), "`{key}` belongs to the subject, which all workloads share");
    }
    ensure!(load.processors.is_none(), "`processors` is for `c10k bench`; remove it");
    ensure!(load.network().is_none(), "`topology` is for `c10k bench`; remove it");
    limits::check_connections(load.connections())
}
