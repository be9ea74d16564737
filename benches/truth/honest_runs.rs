//! How often checks alarm on real runs of real models, on the machine at hand.
//!
//! Nothing is known to be wrong with these runs, which is not to say that nothing is: a busy machine
//! takes processors away, and a check that says so is right. So the shares depend on the machine,
//! unlike those of simulated runs.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use c10k::cpus::CpuList;
use c10k::subject::{RunningSubject, Settings, Subject};
use c10k_loadgen::Summary;
use c10k_loadgen::check::CheckOutcome;
use c10k_servers::ROSTER;

use crate::alarms::Alarms;

/// The program that serves and that loads.
const C10K: &str = env!("CARGO_BIN_EXE_c10k");

/// Who waits for connections and who serves them differs between these.
const MODELS: [&str; 3] = ["epoll", "thread", "thread-pool"];

/// The checks whose verdict rests on what the machine does meanwhile.
const CHECKS: [&str; 4] = ["silence", "steady-state", "send-lag", "arrivals"];

/// Connections at once.
const CONNECTIONS: usize = 16;

/// Workloads as arguments of `c10k load`.
const WORKLOADS: [(&str, &str); 4] = [
    ("closed, persistent", "--lifetime persistent"),
    ("closed, short", "--lifetime short"),
    ("open, constant", "--rate 1000 --arrivals constant"),
    ("open, Poisson", "--rate 1000 --arrivals poisson"),
];

/// Measures each model under each workload and counts the alarms.
///
/// # Errors
///
/// Where a run cannot be made, or a check alarms more often than promised.
pub fn run(quick: bool) -> Result<String> {
    let times = if quick { 1 } else { 4 };
    let mut text = format!(
        "Real runs of {} models, 1.5 s each, of which a check warns / fails, in %:\n\n\
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
        writeln!(text, "{}", row(name, &runs))?;
        all.append(&mut runs);
    }
    writeln!(text, "{}", row("all", &all))?;
    let broken: Vec<&str> =
        CHECKS.into_iter().filter(|check| Alarms::count(all.iter(), check).are_too_many()).collect();
    ensure!(broken.is_empty(), "{text}\nToo many alarms: {}", broken.join(", "));
    Ok(text)
}

fn row(name: &str, runs: &[Vec<CheckOutcome>]) -> String {
    let cell = |check| format!(" {} |", Alarms::count(runs.iter(), check).describe());
    format!("| {name} | {} |{}", runs.len(), CHECKS.map(cell).concat())
}

/// What the checks say of a run against a fresh server, server and generator each on one half of
/// the processors, as suites have it.
fn measure(model: &str, arguments: &str) -> Result<Vec<CheckOutcome>> {
    let halves = CpuList::available()?.split();
    let (server_cpus, own_cpus) = halves.as_ref().map(|(server, own)| (server, own)).unzip();
    let server = start(model, server_cpus)?;
    let mut command = Command::new(C10K);
    command.arg("load").arg(format!("http://{}/", server.address())).arg("--json");
    command.args(["--duration", "1500ms", "--warmup", "300ms"]);
    command.args(["--connections", &CONNECTIONS.to_string()]).args(arguments.split_whitespace());
    if let Some(cpus) = own_cpus {
        command.args(["--pin", &cpus.to_string()]);
    }
    let output = command.stdin(Stdio::null()).output().context("`c10k load` cannot be started")?;
    server.stop()?;
    let told = || format!("`c10k load` said: {}", String::from_utf8_lossy(&output.stderr));
    let summary = Summary::read(&String::from_utf8_lossy(&output.stdout)).with_context(told)?;
    Ok(summary.checks)
}

fn start(model: &str, cpus: Option<&CpuList>) -> Result<RunningSubject> {
    let entry = ROSTER.iter().find(|entry| entry.name == model).context("the model is known")?;
    let settings = Settings { cpus, ..Settings::new(Path::new(C10K), CONNECTIONS) };
    Subject::model(entry, Vec::new()).start(&settings)
}
