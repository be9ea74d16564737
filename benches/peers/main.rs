//! Models next to servers that others have written: server CPU time per request for 1 KiB over 64 persistent connections.
//!
//! In each round, the subjects of a group are measured one right after another, in a shuffled order, every time as a fresh
//! process on a processor of its own, after its page was compared byte for byte. A ratio is of two subjects in the same
//! round, so that what befalls the machine for longer than a few measurements befalls both.
//!
//! `cargo bench --bench peers -- [FILTER...] [--rounds N] [--duration TIME] [--quick] [--list]`

mod apache;
#[path = "../support/arguments.rs"]
mod arguments;
#[path = "../support/client.rs"]
mod client;
mod hyper_http1;
#[path = "../support/load.rs"]
mod load;
mod nginx;
mod peer;
#[path = "../support/processors.rs"]
mod processors;
#[path = "../support/roster.rs"]
mod roster;
#[path = "../support/run.rs"]
mod run;
mod sample;
mod subject;
mod table;

use std::collections::HashMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use c10k::interrupt::Interrupt;
use c10k::output::{note, print};
use c10k::{limits, time};
use clap::Parser;
use rand::seq::SliceRandom;
use regex::Regex;
use tempfile::TempDir;

use peer::{PAGE, PAGE_FILE, Peer};
use processors::Processors;
use sample::Setting;
use subject::Subject;
use table::Outcomes;

/// All peers; one that is not installed is left out when it comes to measuring.
const PEERS: &[Peer] =
    &[nginx::SENDFILE, nginx::FILE, nginx::RETURN, apache::PREFORK, apache::WORKER, hyper_http1::PEER];

/// A model, and a peer or a model that it is compared with.
type Pair = (&'static str, &'static str);

/// What is compared with what: like with like. Those of a group are measured right after one another; nobody is in two
/// groups.
const GROUPS: &[&[Pair]] = &[
    &[
        ("epoll", "nginx-sendfile"),
        ("epoll", "nginx-file"),
        ("epoll", "nginx-return"),
        ("epoll-edge", "nginx-file"),
        ("epoll-edge", "nginx-return"),
        ("io-uring", "nginx-file"),
        ("io-uring", "nginx-return"),
        ("io-uring", "epoll-edge"),
    ],
    &[("tokio-sharded", "hyper")],
    &[("prefork", "apache-prefork")],
    &[("thread", "apache-worker")],
];

/// What `--quick` makes of the rounds and of how long each measurement takes.
const QUICK: (u32, Duration) = (2, Duration::from_millis(400));

/// Compare models with servers that others have written
#[derive(Debug, Parser)]
#[command(name = "peers")]
struct Args {
    /// Compare only what matches in MODEL/PEER
    #[arg(value_name = "FILTER")]
    filters: Vec<Regex>,
    /// Measurements of each subject
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Length of each; with the default, all pairs together take about a minute
    #[arg(long, default_value = "800ms", value_name = "TIME", value_parser = time::parse_positive)]
    duration: Duration,
    /// Two rounds of 400 ms
    #[arg(long)]
    quick: bool,
    /// List the pairs and measure nothing
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    if let Some(ended) = hyper_http1::serve_if_asked() {
        return ended;
    }
    let Some(own) = arguments::own() else { return ExitCode::SUCCESS };
    run::run("peers", own, Args::run)
}

impl Args {
    fn run(&self, interrupt: &Interrupt) -> Result<()> {
        limits::raise_open_files();
        let mut groups: Vec<_> = GROUPS.iter().map(|group| self.select(group)).collect();
        let subjects = subject::find_all(&groups.concat())?;
        for group in &mut groups {
            group.retain(|(model, peer)| subjects.contains_key(model) && subjects.contains_key(peer));
        }
        let pairs = groups.concat();
        if pairs.is_empty() {
            return print("peers: no pair that can be measured here matches\n");
        }
        if self.list {
            return print(&pairs.iter().map(|pair| label(pair) + "\n").collect::<String>());
        }
        let (rounds, duration) = if self.quick { QUICK } else { (self.rounds, self.duration) };
        let (folder, processors) = (folder_with_page()?, Processors::choose()?);
        let setting = Setting { processors, duration, dir: folder.path(), interrupt };
        let outcomes = measure_rounds(rounds, &groups, &subjects, &setting);
        print(&table::render(&pairs, &subjects, &outcomes, &setting))
    }

    /// The pairs that the filters let through.
    fn select(&self, group: &[Pair]) -> Vec<Pair> {
        let matches = |pair: &&Pair| {
            self.filters.is_empty() || self.filters.iter().any(|filter| filter.is_match(&label(pair)))
        };
        group.iter().filter(matches).copied().collect()
    }
}

fn measure_rounds(
    rounds: u32,
    groups: &[Vec<Pair>],
    subjects: &HashMap<&str, Subject>,
    setting: &Setting<'_>,
) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for round in 1..=rounds {
        note(&format!("peers: round {round} of {rounds}\n"));
        for name in groups.iter().flat_map(|group| shuffled(group)) {
            let sample = setting.measure(&subjects[name]);
            if setting.interrupt.happened() {
                // What was cut short is no measurement.
                return outcomes;
            }
            outcomes.entry(name).or_default().push(sample.map_err(|error| format!("{name}: {error:#}")));
        }
    }
    outcomes
}

fn label((model, peer): &Pair) -> String {
    format!("{model}/{peer}")
}

/// The subjects of a group in a random order.
fn shuffled(group: &[Pair]) -> Vec<&'static str> {
    let mut names: Vec<_> = subject::names(group).into_iter().collect();
    names.shuffle(&mut rand::rng());
    names
}

/// A folder for what the peers need, with the page in it. Peers that are started by the superuser give up that right, so
/// everybody may read it.
fn folder_with_page() -> Result<TempDir> {
    let everybody_reads = Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().prefix("c10k-peers-").permissions(everybody_reads).tempdir();
    let folder = folder.context("cannot make a temporary folder")?;
    std::fs::write(folder.path().join(PAGE_FILE), PAGE).context("cannot write the page")?;
    Ok(folder)
}
