//! `system_calls`: system calls per request, counted by strace in a pass of its own.
//!
//! The server runs under strace from its first instruction to its last, once with so many requests
//! and once with twice as many over as many connections. What is done once, at the start, at the
//! end or for a persistent connection, is the same in both, so that the difference is what the
//! additional requests cost. It is exact where calls belong to requests. How many requests a call
//! that waits brings depends on time, and strace stretches it: over many connections a batch is
//! always ready, as with a saturated server, and over one connection never more than one request.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use c10k_loadgen::workload::{Lifetime, Pacing, Until};
use c10k_loadgen::{Target, Workload};

use crate::interrupt::Interrupt;
use crate::measure::measure;
use crate::subject::RunningSubject;

/// What it is called in [`Readings::missing`](super::Readings::missing).
pub const NAME: &str = "system_calls";

/// Reading of all calls; that of one is this, a dot and the call's name.
const KEY: &str = "system_calls_per_request";

/// Requests of the shorter run, over several persistent connections.
const REQUESTS: u64 = 20_000;

/// Requests of the shorter run where each is dear: over one connection the server wakes up for each
/// of them, and a short connection may cost a process.
const REQUESTS_COSTLY: u64 = 2_000;

/// How long one run may take. strace takes some 30 µs for a call, and a request has a few of them.
const RUN_TIME: Duration = Duration::from_secs(15);

/// How long strace may take to write down what it counted, once the server has ended.
const STRACE_TIME: Duration = Duration::from_secs(5);

/// Between two looks whether it has.
const POLL_TIME: Duration = Duration::from_millis(5);

/// Fewer calls per request than this do not count: they belong to something that happens now and
/// then, such as threads that meet while they start, and differ from run to run.
const NOW_AND_THEN: f64 = 0.005;

/// Calls by name.
type Counts = BTreeMap<String, u64>;

/// Calls per request, as readings: `system_calls_per_request` for all and
/// `system_calls_per_request.NAME` for each.
///
/// `launch` starts the server with the given beginning of its command line before its own command,
/// and `target` says what is asked of a server that listens there. Of `load`, the connections,
/// their lifetime, the request and the timeout count; the server is saturated with it in a closed
/// loop.
///
/// # Errors
/// When strace is not installed or may not trace, when the server fails, or takes too long.
pub fn per_request(
    mut launch: impl FnMut(&[OsString]) -> Result<RunningSubject>,
    target: impl Fn(SocketAddr) -> Result<Target>,
    load: &Workload,
    interrupt: &Interrupt,
) -> Result<BTreeMap<String, f64>> {
    ensure_strace_works()?;
    let is_costly = load.connections == 1 || load.lifetime == Lifetime::SHORT;
    let requests = if is_costly { REQUESTS_COSTLY } else { REQUESTS };
    let mut count = |requests| count(&mut launch, &target, saturating(load, requests), interrupt);
    let few = count(requests)?;
    let many = count(2 * requests)?;
    Ok(readings(&few, &many, requests))
}

/// A closed loop of so many requests, which all count.
fn saturating(load: &Workload, requests: u64) -> Workload {
    Workload {
        pacing: Pacing::Closed,
        until: Until::Requests(requests),
        warmup: Duration::ZERO,
        ..load.clone()
    }
}

/// Traces a process that does nothing, so that a machine where strace is missing or may not trace
/// is told from a server that fails.
fn ensure_strace_works() -> Result<()> {
    let dir = tempfile::tempdir().context("cannot make a temporary folder")?;
    let output = dir.path().join("strace");
    let [strace, args @ ..] = &prefix(&output);
    let said = match Command::new(strace).args(args).arg("true").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("strace is not installed"),
        // It ends with all who can write there, strace included.
        said => said.context("cannot run strace")?.stderr,
    };
    // The status is that of `true`, whether it was traced or not.
    let counted = std::fs::read_to_string(output).ok().as_deref().and_then(parse_summary);
    ensure!(counted.is_some(), "strace cannot trace here: {}", last_line(&said));
    Ok(())
}

fn last_line(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    said.trim().lines().next_back().unwrap_or("it does not say why").to_owned()
}

/// All calls of a server from its start to its end, with the requests of `load` in between.
fn count(
    launch: &mut impl FnMut(&[OsString]) -> Result<RunningSubject>,
    target: impl Fn(SocketAddr) -> Result<Target>,
    load: Workload,
    interrupt: &Interrupt,
) -> Result<Counts> {
    let dir = tempfile::tempdir().context("cannot make a temporary folder")?;
    let output = dir.path().join("strace");
    let running = launch(&prefix(&output))?;
    drive(&running, target(running.address())?, load, interrupt)?;
    running.stop()?;
    read_summary(&output)
}

/// Sends exactly the requests of `load`.
fn drive(running: &RunningSubject, target: Target, load: Workload, interrupt: &Interrupt) -> Result<()> {
    let Until::Requests(requests) = load.until else { bail!("only a number of requests can be counted") };
    let begin = Instant::now();
    let in_time = |_: &_| {
        ensure!(begin.elapsed() < RUN_TIME, "{requests} requests took longer than {RUN_TIME:?} under strace");
        Ok(())
    };
    let (measured, _) = measure(target, load, Some(running.server()), interrupt.flag(), in_time)?;
    ensure!(!interrupt.happened(), "interrupted");
    let completed = measured.requests.completed;
    ensure!(completed == requests, "{completed} of {requests} requests were answered under strace");
    Ok(())
}

/// `-DD` puts strace aside, in a process group of its own: the process that is started is the
/// server and ends like it, and strace ends when it has nobody left to trace.
fn prefix(output: &Path) -> [OsString; 6] {
    ["strace".into(), "-DD".into(), "-f".into(), "-c".into(), "-o".into(), output.into()]
}

/// Waits for the summary: strace writes it when the last process is gone.
fn read_summary(path: &Path) -> Result<Counts> {
    let deadline = Instant::now() + STRACE_TIME;
    loop {
        if let Some(counts) = std::fs::read_to_string(path).ok().as_deref().and_then(parse_summary) {
            return Ok(counts);
        }
        ensure!(
            Instant::now() < deadline,
            "strace did not write down what it counted within {STRACE_TIME:?}"
        );
        thread::sleep(POLL_TIME);
    }
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

/// What the additional requests of the longer run cost, by request.
fn readings(few: &Counts, many: &Counts, requests: u64) -> BTreeMap<String, f64> {
    let additional = |(name, &many): (&String, &u64)| {
        let calls = many as f64 - few.get(name).copied().unwrap_or(0) as f64;
        (format!("{KEY}.{name}"), calls / requests as f64)
    };
    let mut readings: BTreeMap<_, _> =
        many.iter().map(additional).filter(|(_, calls)| *calls >= NOW_AND_THEN).collect();
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
    fn what_is_done_once_cancels_out_and_what_happens_now_and_then_is_left_out() {
        let few = counts(&[("sendto", 1000), ("mmap", 50), ("futex", 4)]);
        let many = counts(&[("sendto", 2000), ("mmap", 50), ("futex", 3), ("recvfrom", 1500), ("brk", 1)]);
        let expected =
            [(KEY.to_owned(), 2.5), (format!("{KEY}.recvfrom"), 1.5), (format!("{KEY}.sendto"), 1.0)];
        assert_eq!(readings(&few, &many, 1000), BTreeMap::from(expected));
    }
}
