//! System calls per request, counted by strace.
//!
//! The server runs under strace from its first instruction to its last, once with so many requests and once with twice as
//! many over as many connections. What is done once, at the start, at the end or for a connection, is the same in both, so
//! that the difference is what the additional requests have cost. It is exact where calls belong to requests; how many
//! requests a call that waits brings depends on time, and strace stretches it: over many connections a batch is always
//! ready, as with a saturated server, and over one connection never more than one request.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use c10k::interrupt::Interrupt;
use c10k::measure::measure;
use c10k::subject::{Settings, Subject};
use c10k_loadgen::Target;
use c10k_loadgen::workload::Until;

use crate::load::{check, closed_loop};

/// How long one run may take. strace takes some 30 µs for a call, and a request has a few of them.
const RUN_TIME: Duration = Duration::from_secs(15);

/// How long strace may take to write down what it counted, once the server has ended.
const STRACE_TIME: Duration = Duration::from_secs(5);

/// Between two looks whether it has.
const POLL_TIME: Duration = Duration::from_millis(5);

/// Calls by name.
type Counts = BTreeMap<String, u64>;

/// Looks whether strace is there.
pub fn find_strace() -> Result<(), String> {
    Command::new("strace").arg("-V").output().map(|_| ()).map_err(|_| "strace is not installed".into())
}

/// Calls per request by name, those that cost most calls first.
pub fn per_request(
    model: &Subject,
    requests: u64,
    settings: Settings<'_>,
    interrupt: &Interrupt,
) -> Result<Vec<(String, f64)>> {
    let few = count(model, requests, settings, interrupt)?;
    let many = count(model, 2 * requests, settings, interrupt)?;
    let additional = |(name, &many): (&String, &u64)| {
        let calls = many as f64 - few.get(name).copied().unwrap_or(0) as f64;
        (name.clone(), calls / requests as f64)
    };
    let mut calls: Vec<_> = many.iter().map(additional).collect();
    calls.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(calls)
}

/// All calls of a server from its start to its end, with so many requests in between.
fn count(model: &Subject, requests: u64, settings: Settings<'_>, interrupt: &Interrupt) -> Result<Counts> {
    let dir = tempfile::tempdir().context("cannot make a temporary folder")?;
    let output = dir.path().join("strace");
    let running = model.start(&Settings { prefix: &trace(&output), ..settings })?;
    let target = Target::resolve(&format!("http://{}/", running.address()))?;
    let load = closed_loop(settings.connections, Until::Requests(requests), Duration::ZERO);
    let begin = Instant::now();
    let in_time = |_: &_| {
        ensure!(begin.elapsed() < RUN_TIME, "{requests} requests took longer than {RUN_TIME:?} under strace");
        Ok(())
    };
    let (measured, _) = measure(target, load, running.pid(), interrupt.flag(), in_time)?;
    running.stop()?;
    check(&measured)?;
    ensure!(measured.requests.completed == requests, "the run was cut short");
    read_summary(&output)
}

/// `-DD` puts strace aside, in a process group of its own: the process that is started is the server and ends like it, and
/// strace ends when it has nobody left to trace.
fn trace(output: &Path) -> [OsString; 6] {
    ["strace".into(), "-DD".into(), "-f".into(), "-c".into(), "-o".into(), output.into()]
}

/// Waits for the summary: strace writes it when the last process is gone.
fn read_summary(path: &Path) -> Result<Counts> {
    let deadline = Instant::now() + STRACE_TIME;
    loop {
        if let Some(counts) = std::fs::read_to_string(path).ok().as_deref().and_then(parse_summary) {
            return Ok(counts);
        }
        if Instant::now() > deadline {
            bail!("strace did not write down what it counted within {STRACE_TIME:?}");
        }
        thread::sleep(POLL_TIME);
    }
}

/// Reads `% time, seconds, usecs/call, calls, [errors,] syscall` lines; `None` while the last one, the total, is missing.
fn parse_summary(text: &str) -> Option<Counts> {
    let mut counts = Counts::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (Some(calls), Some(&name)) = (fields.get(3).and_then(|calls| calls.parse().ok()), fields.last())
        else {
            continue;
        };
        if name == "total" {
            return Some(counts);
        }
        counts.insert(name.to_owned(), calls);
    }
    None
}
