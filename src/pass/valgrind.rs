//! Common part of the passes under valgrind: a server that valgrind runs, and the reports of all of
//! its processes.
//!
//! valgrind translates every instruction and runs one thread at a time. A server takes some fifty
//! times as long under it and needs the same instructions, unless it waits by spinning.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::counted::{self, Counts};
use super::definition::Bench;
use super::tool;

/// Longest time for the server's processes to write their reports, once the first of them has
/// ended.
const REPORT_TIME: Duration = Duration::from_secs(5);

/// Names of the two counts: the count of the tool, and the number of processes that reported it.
const COUNTED: &str = "counted";
const PROCESSES: &str = "processes";

/// A tool of valgrind that counts.
pub struct Counter {
    /// Arguments that choose the tool, and make it as fast as possible.
    pub args: &'static [&'static str],
    /// Reads the count from a line of the tool's report; `None` if the line has no count.
    pub read: fn(&str) -> Option<u64>,
}

/// Returns the count of `counter` per request, over all processes and threads of the server.
///
/// # Errors
/// When valgrind is not installed or can't run here, when the server fails under it, or when the
/// counts of its processes can't be added up.
pub fn per_request(bench: &Bench<'_>, counter: &Counter) -> Result<f64> {
    let counts = counted::per_request(bench, |bench, requests| count(bench, counter, requests));
    // The reason is looked for only after an error, because this takes as long as a start of the
    // server.
    let counts = counts.map_err(|error| why_not(counter).unwrap_or(error))?;
    added_up(&counts)
}

/// Returns the count of all processes, if it can be known: a forked process continues the count of
/// its parent.
fn added_up(counts: &BTreeMap<String, f64>) -> Result<f64> {
    ensure!(
        counts[PROCESSES].abs() < f64::EPSILON,
        "the server starts processes as requests come, each of which continues its parent's count \
         under valgrind; count them on a machine that has hardware counters and perf"
    );
    Ok(counts[COUNTED])
}

/// Reads a number with commas.
pub fn number(text: &str) -> Option<u64> {
    text.replace(',', "").parse().ok()
}

/// Runs a server from its start to its end, with this number of requests in between, and returns
/// the count of its processes.
fn count(bench: &Bench<'_>, counter: &Counter, requests: u64) -> Result<Counts> {
    let dir = tempfile::tempdir().context("cannot make a temporary folder")?;
    let running = (bench.launch)(&prefix(counter, dir.path()), None)?;
    counted::drive(bench, &running, requests)?;
    running.stop()?;
    let reports = await_reports(dir.path(), counter)?;
    let total = reports.iter().sum();
    ensure!(total > 0, "valgrind counted nothing: it does not know the server's allocator");
    Ok(BTreeMap::from([(COUNTED.to_owned(), total), (PROCESSES.to_owned(), reports.len() as u64)]))
}

/// Returns the command line of valgrind, to which that of the server is appended. Every process
/// writes a report of its own, including a process that a script of the user starts. The names of
/// inlined functions are not read, because they would double the time of a start.
fn prefix(counter: &Counter, dir: &Path) -> Vec<OsString> {
    let mut log = OsString::from("--log-file=");
    log.push(dir.join("%p"));
    let args = counter.args.iter().map(OsString::from);
    let common = ["valgrind", "--trace-children=yes", "--read-inline-info=no"].map(OsString::from);
    common.into_iter().chain([log]).chain(args).collect()
}

/// Waits for the reports of all processes. A process may still be writing its report when the first
/// process has ended.
fn await_reports(dir: &Path, counter: &Counter) -> Result<Vec<u64>> {
    let mut last: Vec<Option<u64>> = Vec::new();
    let found = tool::within(REPORT_TIME, || {
        last = reports(dir, counter)?;
        Ok(last.iter().copied().collect::<Option<Vec<u64>>>())
    })?;
    found.with_context(|| {
        let missing = last.iter().filter(|report| report.is_none()).count();
        format!(
            "{missing} of {} processes of the server ended without a report of valgrind, as a \
             killed process does; their counts are unknown",
            last.len()
        )
    })
}

/// Reads the count of each process; `None` for a process that has not ended.
fn reports(dir: &Path, counter: &Counter) -> Result<Vec<Option<u64>>> {
    let entries = fs::read_dir(dir).context("cannot read what valgrind wrote")?;
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let text = fs::read(entry?.path())?;
        Ok(parse(&String::from_utf8_lossy(&text), counter))
    };
    entries.map(read).collect::<std::io::Result<_>>().context("cannot read what valgrind wrote")
}

/// Returns the last count of a report, whose lines begin with `==PID==`. A process that has become
/// another program has started again from zero.
fn parse(report: &str, counter: &Counter) -> Option<u64> {
    let lines =
        report.lines().filter_map(|line| Some(line.strip_prefix("==")?.split_once("==")?.1.trim()));
    lines.filter_map(counter.read).next_back()
}

/// Returns the reason why valgrind can't run here, if there is one. It is tried with a program that
/// does nothing.
fn why_not(counter: &Counter) -> Option<anyhow::Error> {
    let try_it = || -> Result<()> {
        let dir = tempfile::tempdir().context("cannot make a temporary folder")?;
        let prefix = prefix(counter, dir.path());
        let command = &mut Command::new(&prefix[0]);
        let said = tool::output("valgrind", command.args(&prefix[1..]).arg("true"))?.stderr;
        let counts: Option<Vec<u64>> = reports(dir.path(), counter)?.into_iter().collect();
        ensure!(
            counts.is_some_and(|counts| !counts.is_empty()),
            "valgrind cannot run here: {}",
            tool::last_line(&said)
        );
        Ok(())
    };
    try_it().err().map(|error| anyhow!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: Counter =
        Counter { args: &[], read: |line| number(line.strip_prefix("total: ")?) };

    #[test]
    fn the_report_of_a_process_that_runs_has_no_count() {
        let begun = "==7== A tool\n==7== Command: server\n";
        assert_eq!(parse(begun, &COUNTER), None);
        assert_eq!(parse(&format!("{begun}==7== \n==7== total: 1,234\n"), &COUNTER), Some(1_234));
    }

    #[test]
    fn processes_that_start_with_a_request_are_refused() {
        let counts =
            |processes| BTreeMap::from([(COUNTED.into(), 7.0), (PROCESSES.into(), processes)]);
        assert!((added_up(&counts(0.0)).unwrap() - 7.0).abs() < f64::EPSILON);
        let error = added_up(&counts(1.0)).unwrap_err().to_string();
        assert!(error.contains("starts processes"), "{error}");
    }

    #[test]
    fn a_program_that_became_another_one_counts_as_the_last() {
        assert_eq!(parse("==7== total: 10\n==7== A tool\n==7== total: 20\n", &COUNTER), Some(20));
    }
}
