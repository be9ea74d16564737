//! `system_calls`: system calls per request, counted by strace in a pass of its own.
//!
//! The server runs under strace from its first instruction to its last. The work that it does once
//! cancels out, see [`counted`]. The count is exact for calls that belong to requests. The number
//! of requests that one waiting call returns depends on time, and strace stretches time: over many
//! connections, several requests are always ready, as with a saturated server; over one connection,
//! there is never more than one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::counted::{self, Counts};
use super::definition::{Bench, Pass};
use super::tool;

pub(super) const PASS: Pass =
    Pass { name: "system_calls", estimate: Duration::from_secs(6), run: per_request };

/// Key of the reading of all calls. The key for one call is this key, a dot and the call's name.
const KEY: &str = "system_calls_per_request";

/// Longest time for strace to write its counts, once the server has ended.
const STRACE_TIME: Duration = Duration::from_secs(5);

/// Number of calls per request below which a call does not count. Rarer calls belong to something
/// that happens now and then, such as threads that meet while they start, and differ from run to
/// run.
const NOW_AND_THEN: f64 = 0.005;

/// Returns calls per request, as readings: `system_calls_per_request` for all and
/// `system_calls_per_request.NAME` for each. The server is saturated in a closed loop over the
/// connections of the workload, without its idle ones.
///
/// # Errors
/// When strace is not installed or may not trace, or when the server fails or takes too long.
fn per_request(bench: &Bench<'_>) -> Result<BTreeMap<String, f64>> {
    ensure_strace_works()?;
    Ok(readings(&counted::per_request(bench, count)?))
}

/// Traces a process that does nothing, to distinguish a machine on which strace is missing or may
/// not trace from a server that fails.
pub fn ensure_strace_works() -> Result<()> {
    let dir = tempfile::tempdir().context("cannot make a temporary folder")?;
    let output = dir.path().join("strace");
    let [strace, args @ ..] = &prefix(&output);
    // The output ends once all processes that can write to it have ended, including strace.
    let said = tool::output("strace", Command::new(strace).args(args).arg("true"))?.stderr;
    // The exit status is that of `true`, even if strace could not trace it.
    let counted = std::fs::read_to_string(output).ok().as_deref().and_then(parse_summary);
    ensure!(counted.is_some(), "strace cannot trace here: {}", tool::last_line(&said));
    Ok(())
}

/// Counts all calls of a server from its start to its end, with this number of requests in between.
fn count(bench: &Bench<'_>, requests: u64) -> Result<Counts> {
    let dir = tempfile::tempdir().context("cannot make a temporary folder")?;
    let output = dir.path().join("strace");
    let running = (bench.launch)(&prefix(&output), None)?;
    counted::drive(bench, &running, requests)?;
    running.stop()?;
    read_summary(&output)
}

/// Returns the command line of strace, to which that of the server is appended. `-DD` moves strace
/// into a process group of its own: the started process is the server and ends like it, and strace
/// ends when it has no process left to trace.
fn prefix(output: &Path) -> [OsString; 6] {
    ["strace".into(), "-DD".into(), "-f".into(), "-c".into(), "-o".into(), output.into()]
}

/// Waits for the summary, which strace writes when the last process has ended.
fn read_summary(path: &Path) -> Result<Counts> {
    let look = || Ok(std::fs::read_to_string(path).ok().as_deref().and_then(parse_summary));
    tool::within(STRACE_TIME, look)?
        .with_context(|| format!("strace did not write its counts within {STRACE_TIME:?}"))
}

/// Reads `% time, seconds, usecs/call, calls, [errors,] syscall` lines; `None` while the last one,
/// the total, is missing.
fn parse_summary(text: &str) -> Option<Counts> {
    let mut counts = Counts::new();
    for line in text.lines() {
        let mut fields = line.split_whitespace();
        let calls = fields.nth(3).and_then(|calls| calls.parse().ok());
        match (calls, fields.next_back()) {
            (Some(_), Some("total")) => return Some(counts),
            (Some(calls), Some(name)) => _ = counts.insert(name.to_owned(), calls),
            _ => {}
        }
    }
    None
}

/// Returns the readings: one for each call, and one for all together.
fn readings(calls: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let regular = calls.iter().filter(|(_, calls)| **calls >= NOW_AND_THEN);
    let mut readings: BTreeMap<_, _> =
        regular.map(|(name, calls)| (format!("{KEY}.{name}"), *calls)).collect();
    let all = readings.values().sum();
    readings.insert(KEY.to_owned(), all);
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ------------------
 60.00    0.600000          30     20000           sendto
 40.00    0.400000          20     20010        10 recvfrom
------ ----------- ----------- --------- --------- ------------------
100.00    1.000000          25     40010        10 total
";

    fn counts(counts: &[(&str, u64)]) -> Counts {
        counts.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect()
    }

    #[test]
    fn a_summary_is_read_once_it_is_complete() {
        let read = counts(&[("sendto", 20_000), ("recvfrom", 20_010)]);
        assert_eq!(parse_summary(SUMMARY), Some(read));
        let (begun, _) = SUMMARY.split_at(SUMMARY.len() - 20);
        assert_eq!(parse_summary(begun), None);
    }

    #[test]
    fn rare_calls_are_left_out() {
        let calls = [("futex", -0.001), ("brk", 0.001), ("sendto", 1.0), ("recvfrom", 1.5)];
        let calls = calls.map(|(name, calls)| (name.to_owned(), calls)).into();
        let expected = [
            (KEY.to_owned(), 2.5),
            (format!("{KEY}.recvfrom"), 1.5),
            (format!("{KEY}.sendto"), 1.0),
        ];
        assert_eq!(readings(&calls), BTreeMap::from(expected));
    }
}
