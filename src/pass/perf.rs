//! Common part of the passes with hardware counters: `perf stat` counts events of a server.
//!
//! `perf` is attached to all processes of the server once the server listens, and follows the
//! processes and threads that they start.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::counted::{self, Counts};
use super::definition::Bench;
use super::tool;
use crate::probe;

/// Longest time for perf to open its counters, and to write its counts.
const PERF_TIME: Duration = Duration::from_secs(5);

/// Returns events per request, by the event's name without a suffix such as `:u`.
pub fn per_request(bench: &Bench<'_>, events: &[&str]) -> Result<BTreeMap<String, f64>> {
    counted::per_request(bench, |bench, requests| count(bench, events, requests))
}

/// Counts `events` of `true`, a program that every machine has, to find out if this machine can
/// count them.
///
/// # Errors
/// When this machine can't count them. The error holds the reason.
pub fn ensure_counters(events: &[&str]) -> Result<()> {
    let mut command = Command::new("perf");
    let said = match command.args(["stat", "-x", ",", "-e", &events.join(","), "true"]).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("perf is not installed"),
        said => said.context("cannot run perf")?,
    };
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(!text.contains("<not supported>"), "this machine has no hardware counters");
    ensure!(
        said.status.success(),
        "perf cannot count here: {}",
        text.lines().next().unwrap_or_default()
    );
    Ok(())
}

/// Counts the events of a server while it answers this number of requests.
fn count(bench: &Bench<'_>, events: &[&str], requests: u64) -> Result<Counts> {
    let dir = tempfile::tempdir().context("cannot make a temporary folder")?;
    let output = dir.path().join("perf");
    let running = (bench.launch)(&[], None)?;
    let mut perf = Perf::attach(running.pid(), events, &output)?;
    counted::drive(bench, &running, requests)?;
    perf.finish()?;
    running.stop()?;
    parse(&fs::read_to_string(&output).context("perf wrote no result")?)
}

/// A running perf that counts. Dropping it kills the process.
struct Perf(Child);

impl Perf {
    fn attach(pid: u32, events: &[&str], output: &Path) -> Result<Self> {
        let pids =
            probe::processes(pid)?.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let mut command = Command::new("perf");
        command.args(["stat", "-x", ",", "-e", &events.join(","), "-p", &pids, "-o"]).arg(output);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let perf = Self(command.spawn().context("cannot run perf")?);
        perf.await_counters()?;
        Ok(perf)
    }

    /// Waits until perf has opened a counter.
    fn await_counters(&self) -> Result<()> {
        let is_counter = |entry: fs::DirEntry| {
            fs::read_link(entry.path())
                .is_ok_and(|link| link.to_string_lossy().contains("perf_event"))
        };
        let descriptors = format!("/proc/{}/fd", self.0.id());
        let opened = tool::within(PERF_TIME, || {
            let mut files = fs::read_dir(&descriptors).into_iter().flatten().flatten();
            Ok(files.any(is_counter).then_some(()))
        })?;
        opened.with_context(|| format!("perf opened no counter within {PERF_TIME:?}"))
    }

    /// Makes perf write its counts, and waits until it has ended.
    fn finish(&mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::INT).context("cannot stop perf")?;
        let ended = tool::within(PERF_TIME, || Ok(self.0.try_wait()?))?;
        ended.with_context(|| format!("perf did not end within {PERF_TIME:?}"))?;
        Ok(())
    }
}

impl Drop for Perf {
    fn drop(&mut self) {
        // After `finish` there is nothing left to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Parses lines of `value,unit,event,…`, the format of `perf stat -x ,`. A processor with two kinds
/// of cores has a line for each kind, and the counts of both are added. A server may never have run
/// on one kind.
fn parse(text: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    let mut uncounted = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut fields = line.split(',');
        let value = fields.next().unwrap_or_default();
        let event = name(fields.nth(1).unwrap_or_default());
        match value.parse::<u64>() {
            Ok(value) => *counts.entry(event.to_owned()).or_default() += value,
            Err(_) => uncounted.push((event, value)),
        }
    }
    match uncounted.iter().find(|(event, _)| !counts.contains_key(*event)) {
        Some((event, value)) => bail!("perf counted no {event}: {value}"),
        None => Ok(counts),
    }
}

/// Returns the name of an event without its kind of core and suffix, such as `cycles` for
/// `cpu_core/cycles:u/`.
fn name(event: &str) -> &str {
    let event = event.split_once('/').map_or(event, |(_, event)| event);
    event.split([':', '/']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_perf_writes() {
        let text = "# started on Wed Nov 25 22:00:00 2026\n\n1234567,,instructions:u,1000,100.00,1.2,insn per cycle\n\
                    999,,cycles,1000,100.00,,\n";
        let counts = parse(text).unwrap();
        assert_eq!((counts["instructions"], counts["cycles"]), (1_234_567, 999));
        let error = parse("<not counted>,,cycles,0,100.00,,\n").unwrap_err().to_string();
        assert_eq!(error, "perf counted no cycles: <not counted>");
    }

    #[test]
    fn cores_of_two_kinds_count_together() {
        let text = "40,,cpu_core/instructions:u/,9,90.00,,\n2,,cpu_atom/instructions/u,1,10.00,,\n\
                    7,,cpu_core/cycles/,9,100.00,,\n<not counted>,,cpu_atom/cycles/,0,0.00,,\n";
        let counts = parse(text).unwrap();
        assert_eq!((counts["instructions"], counts["cycles"]), (42, 7));
    }
}
