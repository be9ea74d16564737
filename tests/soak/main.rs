//! A soak: servers of every family under good and hostile clients. The resources that they hold
//! while no client is there must not grow.
//!
//! `cargo test` runs it for a few seconds; `SOAK_TIME=10min cargo test --test soak` runs it for the
//! given time. All servers run at once. `SOAK_MODELS=REGEX` chooses models instead of the default
//! of one per family; a family is the models of the same profile.
//!
//! Before the soak, clients fill every buffer that a server keeps. Then the time is divided into
//! phases. At the end of each phase all clients leave, and the resources that the server still
//! holds are measured: at these quiet points it should hold nothing that belongs to a client. The
//! first third of the phases warms up the rest: pools that grow with their work, and heaps of
//! threads. From then on, the median of the last third is compared with that of the second third: a
//! leak adds up over the phases between them, noise does not.

#[path = "../support/client.rs"]
#[expect(dead_code, reason = "the behaviour suite uses more of it")]
mod client;
mod clients;
#[path = "../support/model.rs"]
#[expect(dead_code, reason = "the behaviour suite uses more of it")]
mod model;
#[path = "../support/processes.rs"]
#[expect(dead_code, reason = "the behaviour suite uses more of it")]
mod processes;
mod sample;
#[path = "../support/server.rs"]
#[expect(dead_code, reason = "the behaviour suite uses more of it")]
mod server;
#[path = "../support/wait.rs"]
mod wait;

use std::collections::HashSet;
use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use c10k::limits;
use libtest_mimic::{Arguments, Failed, Trial};
use regex::Regex;

use clients::{Counts, GOOD_CLIENTS, HOSTILE_CLIENTS, TIMEOUT};
use model::Model;
use sample::Sample;
use server::Server;

/// Time of a run that fits into `cargo test`. It finds wrong responses, descriptors and processes
/// that stay, and memory that is lost in large pieces (6 KB for each connection, to name one that
/// was tried); a long run finds the small pieces.
const DEFAULT_TIME: Duration = Duration::from_secs(6);

/// Approximate length of a phase in a long run, so that its medians are over many phases.
const PHASE: Duration = Duration::from_secs(10);

/// Smallest number of phases: a median needs two quiet points in each third to mean anything.
const LEAST_PHASES: u32 = 6;

/// Growth of memory between two thirds that is no leak. The top of a heap moves by 128 KiB before
/// it is given back (`M_TRIM_THRESHOLD`, mallopt(3)).
const HEAP_NOISE_BYTES: u64 = 256 * 1024;

/// Further growth that is no leak, for each thread or process: glibc gives it a heap of its own,
/// which reaches its final size slowly, since that depends on which lengths happen to be used
/// together. (With responses of any length up to 20,000 bytes, pipelined, the heaps of a pool grew
/// to 350 KiB each: half of that within 10,000 connections, all within 50,000, and nothing in the
/// next 100,000.)
///
/// Between two thirds of ten minutes there are some 50,000 requests: both allowances together are 6
/// bytes of each request on one loop, 16 in a pool.
const TASK_NOISE_BYTES: u64 = 64 * 1024;

/// Workers of a pool; enough for all clients at once.
const POOL: usize = 8;

/// Change in the number of threads and descriptors that is no leak: a pool that grows with its work
/// keeps for a while the threads that it needed at the end of a phase. A leak with each hostile
/// client would be hundreds.
const TASK_NOISE: u64 = 8;
const FILE_NOISE: u64 = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let models = chosen_models();
    // All servers at once.
    arguments.test_threads = Some(models.len().max(1));
    let time = env::var("SOAK_TIME").ok().map_or(DEFAULT_TIME, |text| {
        humantime::parse_duration(&text).unwrap_or_else(|error| panic!("SOAK_TIME={text}: {error}"))
    });
    let rows = Arc::new(Mutex::new(Vec::new()));
    let trial = |model: Model| {
        let rows = Arc::clone(&rows);
        Trial::test(format!("{}::holds_no_more_at_the_end", model.name), move || {
            soak(&model, time, &rows)
        })
    };
    let conclusion = libtest_mimic::run(&arguments, models.into_iter().map(trial).collect());
    let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
    if !rows.is_empty() {
        rows.sort();
        println!("{}\n{}\n", header(), rows.join("\n"));
    }
    conclusion.exit_code()
}

/// Returns the models that `SOAK_MODELS` chooses, or else the last model of each family: models
/// that come later in the roster are more refined.
///
/// A model that spins takes a processor from all others, so it runs only if it is requested. A
/// model that serves one connection at a time is always left out: each hostile client keeps the
/// others out, as the profile of the model declares.
fn chosen_models() -> Vec<Model> {
    // As `c10k serve` does: the files that a model needs are compared with the limit.
    limits::raise_open_files();
    let roster = model::roster()
        .into_iter()
        .filter(|model| model.unavailable.is_none() && model.serves_several());
    if let Ok(pattern) = env::var("SOAK_MODELS") {
        let pattern =
            Regex::new(&pattern).unwrap_or_else(|error| panic!("SOAK_MODELS={pattern}: {error}"));
        return roster.filter(|model| pattern.is_match(model.name)).collect();
    }
    let mut models: Vec<Model> = roster.filter(|model| !model.spins()).collect();
    let mut families = HashSet::new();
    models.reverse();
    models.retain(|model| families.insert(model.profile.named()));
    models.reverse();
    models
}

/// Soaks a server of `model` and adds a row to the table.
fn soak(model: &Model, time: Duration, rows: &Mutex<Vec<String>>) -> Result<(), Failed> {
    let phases = LEAST_PHASES.max((time.as_secs() / PHASE.as_secs()) as u32 / 3 * 3);
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let arguments = ["--panic-endpoint", "--head-timeout", &timeout, "--idle-timeout", &timeout];
    let mut server = Server::launch(model).pool(POOL).arguments(arguments).start();
    clients::warm_up(server.address, POOL);
    let begin = Instant::now();
    let counts = Counts::default();
    let mut quiet = Vec::new();
    for phase in 1..=phases {
        let end = begin + time / phases * phase;
        thread::scope(|scope| {
            for client in 0..GOOD_CLIENTS + HOSTILE_CLIENTS {
                let address = server.address;
                let counts = &counts;
                let seed = u64::from(phase) << 32 | client as u64;
                scope
                    .spawn(move || clients::run(client < GOOD_CLIENTS, address, seed, end, counts));
            }
        });
        quiet.push(Sample::when_quiet(&server));
    }
    server.stop();
    let row = row(model, &counts, &quiet);
    rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    counts.check()?;
    check_growth(&quiet)
}

/// Checks that the last third of the quiet points is not above the second third.
fn check_growth(quiet: &[Sample]) -> Result<(), Failed> {
    let third = quiet.len() / 3;
    let (second, last) = (&quiet[third..2 * third], &quiet[2 * third..]);
    let memory_noise = HEAP_NOISE_BYTES + TASK_NOISE_BYTES * median(last, |sample| sample.tasks);
    for (what, of, noise) in [
        ("bytes of memory", (|sample: &Sample| sample.memory) as fn(&Sample) -> u64, memory_noise),
        ("descriptors", |sample| sample.open_files, FILE_NOISE),
        ("threads and processes", |sample| sample.tasks, TASK_NOISE),
    ] {
        let (before, after) = (median(second, of), median(last, of));
        if after > before + noise {
            return Err(format!("its {what} have grown from {before} to {after}: {quiet:?}").into());
        }
    }
    Ok(())
}

fn median(samples: &[Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

fn header() -> String {
    format!(
        "{:<16} {:>9} {:>8} {:>19} {:>13} {:>13}",
        "model", "requests", "hostile", "memory, KiB", "descriptors", "tasks"
    )
}

fn row(model: &Model, counts: &Counts, quiet: &[Sample]) -> String {
    let (first, last) = (quiet[0], quiet[quiet.len() - 1]);
    let change = |of: fn(&Sample) -> u64| format!("{} → {}", of(&first), of(&last));
    format!(
        "{:<16} {:>9} {:>8} {:>19} {:>13} {:>13}",
        model.name,
        counts.answered(),
        counts.hostile(),
        change(|sample| sample.memory / 1024),
        change(|sample| sample.open_files),
        change(|sample| sample.tasks)
    )
}
