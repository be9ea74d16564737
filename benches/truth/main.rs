//! `cargo bench --bench truth`: tests whether c10k's statements about its own numbers are true.
//!
//! Confidence intervals, checks and marks promise how often they are wrong. Each part of this bench
//! makes many measurements whose truth is known, counts the errors, and prints a table for
//! METHODOLOGY.md. Without a name, all parts run; `-- --quick` makes fewer measurements, in a
//! minute. The exit status is 1 if a promise is not kept.

mod alarms;
mod coverage;
mod false_alarms;
mod gates;
mod honest_runs;
mod many;
mod marks;
mod power;
mod queues;
mod simulation;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use c10k::output::print;
use clap::Parser;
use clap::builder::{PossibleValue, PossibleValuesParser};

/// A part of this bench, which tests one promise.
struct Part {
    name: &'static str,
    about: &'static str,
    /// Function that runs the part, with fewer measurements if its argument is true. It returns
    /// tables in Markdown, or an error that begins with them if the promise is not kept.
    run: fn(bool) -> Result<String>,
}

const PARTS: &[Part] = &[
    Part {
        name: "coverage",
        about: "How often confidence intervals of percentiles hold the truth",
        run: coverage::run,
    },
    Part {
        name: "false-alarms",
        about: "How often checks alarm on simulated runs in which nothing was wrong",
        run: false_alarms::run,
    },
    Part { name: "power", about: "Which share of faults the checks find", run: power::run },
    Part {
        name: "honest-runs",
        about: "How often checks alarm on real runs",
        run: honest_runs::run,
    },
    Part {
        name: "queues",
        about: "What a queue for each thread of the generator adds to the latency of an open loop",
        run: queues::run,
    },
    Part {
        name: "marks",
        about: "How often one of several equal subjects is marked as the best",
        run: marks::run,
    },
    Part {
        name: "gates",
        about: "How often a gate raises an alarm about identical servers, and finds slower ones",
        run: gates::run,
    },
];

/// Compares c10k's statements about its numbers with a known truth
#[derive(Parser)]
#[command(name = "truth", bin_name = "cargo bench --bench truth --", version)]
struct Arguments {
    /// Make fewer measurements
    #[arg(long)]
    quick: bool,
    /// Flag that `cargo bench` gives and `cargo test` does not
    #[arg(long, hide = true)]
    bench: bool,
    /// Run only these parts
    #[arg(value_parser = parts())]
    parts: Vec<String>,
}

fn parts() -> PossibleValuesParser {
    let value = |part: &Part| PossibleValue::new(part.name).help(part.about);
    PARTS.iter().map(value).collect::<Vec<_>>().into()
}

fn main() -> Result<ExitCode> {
    let Arguments { quick, bench, parts } = Arguments::parse();
    if !bench {
        return Ok(ExitCode::SUCCESS);
    }
    let is_asked = |part: &&Part| parts.is_empty() || parts.iter().any(|name| name == part.name);
    let mut status = ExitCode::SUCCESS;
    for part in PARTS.iter().filter(is_asked) {
        print(&format!("## {}: {}\n\n", part.name, part.about))?;
        let begin = Instant::now();
        match (part.run)(quick) {
            Ok(text) => print(&format!("{text}\n"))?,
            Err(error) => {
                print(&format!("{error:#}\n\n"))?;
                status = ExitCode::FAILURE;
            }
        }
        eprintln!("{} took {:.0} s", part.name, begin.elapsed().as_secs_f64());
    }
    Ok(status)
}
