//! A measurement by generators on other machines: one test of a Locust master on this one, which
//! merges the results of its workers. `loadgen/MANY_MACHINES.md` is for people.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use c10k_loadgen::workload::{Pacing, Until};
use c10k_loadgen::{Summary, Target, Workload};

use crate::child;
use crate::interrupt::Interrupt;
use crate::suite::Generator;

/// The master's part, as this version of the workers needs it.
const LOCUSTFILE: &str = include_str!("../loadgen/locust/locustfile.py");

/// Longest wait for the workers, in seconds.
const MAX_WAIT_S: u32 = 60;

/// Reason why there are no readings of the server.
pub const NO_READINGS: &str =
    "the generator is on other machines, so it is not known here when the measured part begins";

/// Names of files in the folder of a test.
const RESULT: &str = "result.json";
const LOG: &str = "result.hlog";
const MESSAGES: &str = "messages";

/// Measures a workload once. The histograms are kept in `log`, if one is given.
///
/// # Errors
/// When Locust does not run, the workers do not come, or no request completes.
pub fn measure(
    generator: &Generator,
    target: &Target,
    workload: &Workload,
    log: Option<&Path>,
    interrupt: &Interrupt,
) -> Result<Summary> {
    let folder = tempfile::tempdir().context("cannot make a folder for Locust")?;
    fs::write(folder.path().join("locustfile.py"), LOCUSTFILE)?;
    let messages = File::create(folder.path().join(MESSAGES))?;
    let words = shlex::split(&generator.locust).context("`locust` of [generator]")?;
    let mut command = Command::new(words.first().context("`locust` of [generator] is empty")?);
    command.args(&words[1..]).args(arguments(generator, target, workload));
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages);
    let status = child::run(&mut command, interrupt)?;
    let result = folder.path().join(RESULT);
    ensure!(result.exists(), "Locust wrote no result ({status}): {}", last_line(folder.path()));
    let summary = Summary::read(&fs::read_to_string(result)?)?;
    ensure!(
        summary.requests.completed > 0,
        "no request completed of {} sent by workers of Locust; errors: {}; {}",
        summary.requests.sent,
        summary.errors,
        last_line(folder.path())
    );
    if let Some(log) = log {
        fs::copy(folder.path().join(LOG), log)
            .with_context(|| format!("cannot write {}", log.display()))?;
    }
    Ok(summary)
}

/// Returns the arguments of Locust for one test.
fn arguments(generator: &Generator, target: &Target, workload: &Workload) -> Vec<String> {
    let measured = match workload.until {
        Until::Elapsed(length) => length,
        Until::Requests(_) | Until::Told => Duration::ZERO,
    };
    // Locust takes whole seconds, which begin when the workers are told to connect.
    let run_time = (workload.warmup + measured).as_secs_f64().ceil().max(1.0);
    let timeout = humantime::format_duration(workload.timeout);
    let warmup = humantime::format_duration(workload.warmup);
    let connections = workload.connections;
    let mut arguments = vec![
        "--locustfile=locustfile.py".to_owned(),
        "--master".to_owned(),
        "--headless".to_owned(),
        "--only-summary".to_owned(),
        format!("--expect-workers={}", generator.workers),
        format!("--expect-workers-max-wait={MAX_WAIT_S}"),
        format!("--host={}", target.url),
        format!("--users={connections}"),
        format!("--spawn-rate={connections}00"),
        format!("--run-time={run_time}s"),
        format!("--warmup={warmup}"),
        format!("--timeout={timeout}"),
        format!("--lifetime={}", workload.lifetime),
        format!("--method={}", workload.request.method),
        format!("--output={RESULT}"),
        format!("--hdr={LOG}"),
    ];
    if let Pacing::Open { rate, arrivals, seed, .. } = workload.pacing {
        arguments.extend([
            format!("--rate={rate}"),
            format!("--arrivals={arrivals}"),
            format!("--seed={seed}"),
        ]);
    }
    let headers = workload.request.headers.iter();
    arguments.extend(headers.map(|(name, value)| format!("--header={name}: {value}")));
    if !workload.request.body.is_empty() {
        arguments.push(format!("--body={}", String::from_utf8_lossy(&workload.request.body)));
    }
    arguments
}

/// Returns the last line that Locust said.
fn last_line(folder: &Path) -> String {
    let said = fs::read_to_string(folder.join(MESSAGES)).unwrap_or_default();
    said.lines().rfind(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned()
}
