//! The part of `c10k calibrate` about the server's CPU time. It compares two accounts of the same
//! runs: that of a cgroup, which misses nothing, and that of the processes' clocks.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use c10k_loadgen::workload::{Lifetime, Until};
use c10k_loadgen::{Event, Measurement, Target, Workload};
use c10k_reports::record::{CpuAccounts, CpuComparison};

use crate::cgroup;
use crate::cpus::CpuList;
use crate::interrupt::Interrupt;
use crate::nothing;
use crate::probe::{BothAccounts, Server};
use crate::subject::{Program, Settings, Subject};

/// Models of four kinds: threads that end, processes that end, processes that stay, and a single
/// process that serves all connections.
const MODELS: [(&str, Lifetime); 4] = [
    ("thread", Lifetime::SHORT),
    ("fork", Lifetime::SHORT),
    ("prefork", Lifetime::Persistent),
    ("epoll", Lifetime::Persistent),
];

/// Connections at once: enough to keep one processor busy.
const CONNECTIONS: usize = 16;

/// Length of the warm-up, in which processes and caches reach their steady state.
const WARMUP: Duration = Duration::from_millis(300);

/// Measures each model for `duration`, with the servers on `cpus`. If no cgroup can be made, the
/// result has the reason in place of numbers.
pub(super) fn compare(
    duration: Duration,
    cpus: Option<&CpuList>,
    interrupt: &Interrupt,
) -> Result<CpuAccounts> {
    if let Some(reason) = cgroup::why_none() {
        return Ok(CpuAccounts { missing: Some(reason), models: Vec::new() });
    }
    let c10k = Program::this()?;
    let settings =
        Settings { cpus, interrupt: Some(interrupt), ..Settings::new(&c10k, CONNECTIONS) };
    let mut models = Vec::new();
    for (model, lifetime) in MODELS {
        if interrupt.happened() {
            break;
        }
        let entry = c10k_servers::find(model).context("the roster has no such model")?;
        let subject = Subject::model(entry, Vec::new());
        let compared = compare_one(&subject, lifetime, duration, &settings, interrupt);
        models.push(compared.with_context(|| format!("cannot measure the CPU time of {model}"))?);
    }
    Ok(CpuAccounts { missing: None, models })
}

fn compare_one(
    subject: &Subject,
    lifetime: Lifetime,
    duration: Duration,
    settings: &Settings<'_>,
    interrupt: &Interrupt,
) -> Result<CpuComparison> {
    let running = subject.start(settings)?;
    let workload = Workload {
        connections: CONNECTIONS,
        lifetime,
        warmup: WARMUP,
        ..Workload::lasting(Until::Elapsed(duration))
    };
    let target = Target::resolve(&format!("http://{}/", running.address()))?;
    let (measured, used) = measure(target, workload, &running.server(), interrupt)?;
    running.stop()?;
    let completed = measured.requests.completed;
    ensure!(completed > 0, "{}", nothing::line(&measured, false));
    let us_per_request = |seconds: f64| seconds * 1e6 / completed as f64;
    Ok(CpuComparison {
        model: subject.name.clone(),
        lifetime: lifetime.to_string(),
        cgroup_us: us_per_request(used.cgroup_s),
        clocks_us: us_per_request(used.clocks_s),
        generator_us: us_per_request(measured.generator.user_s + measured.generator.system_s),
    })
}

/// Runs the generator, and reads both accounts when the measured part begins and ends.
fn measure(
    target: Target,
    workload: Workload,
    server: &Server,
    interrupt: &Interrupt,
) -> Result<(Measurement, BothAccounts)> {
    let mut run = c10k_loadgen::start(target, workload, interrupt.flag())
        .context("cannot start the generator")?;
    let mut looks = Vec::new();
    while let Some(event) = run.next_event() {
        if matches!(event, Event::Begun(_) | Event::Ended) {
            looks.push(BothAccounts::of(server)?);
        }
    }
    let measured = run.finish()?;
    let [begin, end] = looks[..] else { bail!("the measured part did not begin and end") };
    Ok((measured, end.since(begin)))
}
