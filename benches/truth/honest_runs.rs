//! Rate at which checks alarm on real runs of real models, on this machine.
//!
//! A check that alarms because others took the processors is right. So the promise is about runs in
//! which others took little. The others are other programs, as the probes of `--server-pid` report,
//! and the host of a virtual machine, which may give a processor back milliseconds late and counts
//! that nowhere. This delay is detected by a thread that sleeps before and after a run and measures
//! how late it wakes. All runs, including disturbed ones, are counted in a second row. On a machine
//! that is never undisturbed, the promise is not judged, and the text says so.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use c10k::cores;
use c10k::cpus::CpuList;
use c10k::subject::{Program, RunningSubject, Settings, Subject};
use c10k_loadgen::Summary;
use c10k_loadgen::check::CheckOutcome;
use c10k_servers::ROSTER;
use serde_json::Value;

use crate::alarms::Alarms;

/// The program that serves and that generates the load.
const C10K: &str = env!("CARGO_BIN_EXE_c10k");

/// Models that differ both in what waits for connections and in what serves them.
const MODELS: [&str; 3] = ["epoll", "thread", "thread-pool"];

/// Checks whose verdict depends on what the machine does during the run.
const CHECKS: [&str; 6] =
    ["silence", "steady-state", "send-lag", "arrivals", "generator-cpu-wait", "server-cpu-wait"];

/// Time that other programs and other machines may take in a run without a disturbance, in
/// processors.
const OTHERS_AT_MOST: f64 = 0.2;

/// Longest delay of a thread's wake-up before and after a run without a disturbance, in 99 of 100
/// cases. It is the delay that the generator's spin compensates, plus the lag that the check
/// `send-lag` allows.
const LATE_AT_MOST: Duration = Duration::from_micros(150);

/// Number of sleeps that show how late a thread wakes, and the length of each, as between two
/// requests.
const SLEEPS: usize = 200;
const SLEEP: Duration = Duration::from_millis(1);

/// Number of undisturbed runs below which a share says nothing.
const FEWEST_RUNS: usize = 20;

/// Connections at once.
const CONNECTIONS: usize = 16;

/// Workloads as arguments of `c10k load`.
const WORKLOADS: [(&str, &str); 4] = [
    ("closed, persistent", "--lifetime persistent"),
    ("closed, short", "--lifetime short"),
    ("open, constant", "--rate 1000 --arrivals constant"),
    ("open, Poisson", "--rate 1000 --arrivals poisson"),
];

/// A run: the verdicts of its checks, and its disturbances.
struct Judged {
    checks: Vec<CheckOutcome>,
    /// Time that others took during the run, in processors.
    others: f64,
    /// Delay of a thread's wake-up in 99 of 100 cases: the longer one of those before and after the
    /// run.
    late: Duration,
}

impl Judged {
    fn is_undisturbed(&self) -> bool {
        self.others <= OTHERS_AT_MOST && self.late <= LATE_AT_MOST
    }
}

/// Measures each model under each workload and counts the alarms.
///
/// # Errors
///
/// When a run can't be made, or a check alarms more often than promised.
pub fn run(quick: bool) -> Result<String> {
    let times = if quick { 1 } else { 4 };
    let mut text = format!(
        "Real runs of {} models, 1.5 s each, of which a check warns / fails, in %, where other \
         programs took less than {OTHERS_AT_MOST} of a processor and threads woke within \
         {LATE_AT_MOST:?}, and in all:\n\n\
         | workload | runs |{}\n|---|--:|{}\n",
        MODELS.len(),
        CHECKS.map(|check| format!(" `{check}` |")).concat(),
        "--:|".repeat(CHECKS.len())
    );
    let mut all = Vec::new();
    for (name, arguments) in WORKLOADS {
        let mut runs = Vec::new();
        for _ in 0..times {
            for model in MODELS {
                runs.push(measure(model, arguments)?);
            }
        }
        text += &rows(name, &runs);
        all.append(&mut runs);
    }
    text += &rows("together", &all);
    let quiet = undisturbed(&all).count();
    if quiet < FEWEST_RUNS {
        let mut late = all.iter().map(|run| run.late).collect::<Vec<_>>();
        late.sort_unstable();
        return Ok(format!(
            "{text}\nToo few undisturbed runs to judge a share: {quiet}. In the median run, one of 100 sleeps \
             of {SLEEP:?} ended {:.0?} late.\n",
            late[late.len() / 2]
        ));
    }
    let is_broken = |check: &&str| count(undisturbed(&all), check).are_too_many();
    let broken: Vec<&str> = CHECKS.into_iter().filter(is_broken).collect();
    ensure!(broken.is_empty(), "{text}\nToo many alarms: {}", broken.join(", "));
    Ok(text)
}

fn undisturbed(runs: &[Judged]) -> impl Iterator<Item = &Judged> {
    runs.iter().filter(|run| run.is_undisturbed())
}

fn count<'a>(runs: impl Iterator<Item = &'a Judged>, check: &str) -> Alarms {
    Alarms::count(runs.map(|run| &run.checks), check)
}

/// Returns two rows: of undisturbed runs, and of all runs.
fn rows(name: &str, runs: &[Judged]) -> String {
    let quiet = CHECKS.map(|check| format!(" {} |", count(undisturbed(runs), check).describe()));
    let all = CHECKS.map(|check| format!(" {} |", count(runs.iter(), check).describe()));
    format!(
        "| {name}, undisturbed | {} |{}\n| {name}, all | {} |{}\n",
        undisturbed(runs).count(),
        quiet.concat(),
        runs.len(),
        all.concat()
    )
}

/// Measures a run against a fresh server, and returns the verdicts of the checks. Server and
/// generator are each on one half of the processors, as in suites.
fn measure(model: &str, arguments: &str) -> Result<Judged> {
    let halves = cores::split(&CpuList::available()?);
    let (server_cpus, own_cpus) = halves.as_ref().map(|(server, own)| (server, own)).unzip();
    let server = start(model, server_cpus)?;
    let mut command = Command::new(C10K);
    command.arg("load").arg(format!("http://{}/", server.address())).arg("--json");
    command.args(["--duration", "1500ms", "--warmup", "300ms"]);
    command.args(["--connections", &CONNECTIONS.to_string()]).args(arguments.split_whitespace());
    command.args(["--server-pid", &server.pid().to_string()]);
    if let Some(cpus) = own_cpus {
        command.args(["--pin", &cpus.to_string()]);
    }
    let before = late();
    let output = command.stdin(Stdio::null()).output().context("`c10k load` cannot be started")?;
    let late = before.max(late());
    server.stop()?;
    let told = || format!("`c10k load` said: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = Summary::read(&text).with_context(told)?;
    Ok(Judged { checks: summary.checks, others: others(&text)?, late })
}

/// Measures how late this thread wakes in 99 of 100 cases.
fn late() -> Duration {
    let sleep = |_| {
        let begin = Instant::now();
        thread::sleep(SLEEP);
        begin.elapsed().saturating_sub(SLEEP)
    };
    let mut late = (0..SLEEPS).map(sleep).collect::<Vec<_>>();
    late.sort_unstable();
    late[SLEEPS * 99 / 100]
}

/// Returns the time that other programs and other machines took from this machine, in processors.
fn others(json: &str) -> Result<f64> {
    let json: Value = serde_json::from_str(json)?;
    let share = |key: &str| {
        let value = json["server"]["metrics"][key].as_f64();
        value.with_context(|| format!("`c10k load` does not say {key}"))
    };
    // Some kernels count the packets of the measurement, which are received in interrupts, as time
    // of others.
    let other = share("machine_other_share")? - share("machine_interrupts_share")?;
    Ok(other.max(0.0) + share("machine_steal_share")?)
}

fn start(model: &str, cpus: Option<&CpuList>) -> Result<RunningSubject> {
    let entry = ROSTER.iter().find(|entry| entry.name == model).context("the model is known")?;
    let c10k = Program::at(Path::new(C10K));
    let settings = Settings { cpus, ..Settings::new(&c10k, CONNECTIONS) };
    Subject::model(entry, Vec::new()).start(&settings)
}
