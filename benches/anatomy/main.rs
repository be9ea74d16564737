//! What a model is made of: the system calls that a request costs it, and the memory that an idle connection costs it.
//!
//! Unlike times, both are nearly the same on every machine. One model is looked at after another, each for some seconds;
//! that is minutes for all of them, so the bench does nothing unless it is asked for by an argument:
//! `cargo bench --bench anatomy -- [MODEL-REGEX...] [--connections 5000] [--markdown] [--list]`, where `.` is every model.

#[path = "../support/arguments.rs"]
mod arguments;
#[path = "../support/load.rs"]
mod load;
mod memory;
mod row;
#[path = "../support/run.rs"]
mod run;
mod system_calls;

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use c10k::cpus::CpuList;
use c10k::interrupt::Interrupt;
use c10k::limits;
use c10k::output::{note, print};
use c10k::subject::{Settings, Subject};
use c10k_servers::ROSTER;
use clap::Parser;
use regex::Regex;

use row::{Format, Row};

/// What to do with no argument.
const HINT: &str = "anatomy: takes some seconds for each model; `cargo bench --bench anatomy -- REGEX` looks at those that \
                    match, `.` at all\n";

/// Connections whose requests are counted: a batch of them is ready whenever a server looks.
const CONNECTIONS: usize = 64;

/// Requests that are counted over them, and over a single one, whose server never has more than one of them to answer.
const REQUESTS: u64 = 20_000;
const REQUESTS_ALONE: u64 = 2_000;

/// Count system calls per request and measure memory per idle connection
#[derive(Debug, Parser)]
#[command(name = "anatomy")]
struct Args {
    /// Models to look at; without one, all
    #[arg(value_name = "MODEL-REGEX")]
    models: Vec<Regex>,
    /// Idle connections, as far as a model can hold them
    #[arg(long, default_value = "5000", value_name = "N")]
    connections: NonZeroUsize,
    /// Print a Markdown table
    #[arg(long)]
    markdown: bool,
    /// List the models and measure nothing
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let Some(mut own) = arguments::own() else { return ExitCode::SUCCESS };
    // Said to all benches at once, it is no wish for this one.
    own.retain(|arg| arg != "--quick");
    if own.is_empty() {
        note(HINT);
        return ExitCode::SUCCESS;
    }
    run::run("anatomy", own, Args::run)
}

impl Args {
    fn run(&self, interrupt: &Interrupt) -> Result<()> {
        let mut models: Vec<_> = ROSTER.iter().map(|entry| Subject::model(entry, Vec::new())).collect();
        models.retain(|model| self.is_meant(&model.name));
        if models.is_empty() {
            return print("anatomy: no model matches; `c10k models` lists them\n");
        }
        if self.list {
            return print(&models.into_iter().map(|model| model.name + "\n").collect::<String>());
        }
        limits::raise_open_files();
        limits::check_connections(self.connections.get())?;
        let cpus = CpuList::available()?.split();
        if let Some((_, generator)) = &cpus {
            generator.pin()?;
        }
        let settings = settings(cpus.as_ref().map(|(server, _)| server));
        let strace = system_calls::find_strace();
        if let Err(error) = &strace {
            note(&format!("anatomy: system calls are not counted: {error}\n"));
        }
        let Format { head, row } = if self.markdown { row::MARKDOWN } else { row::TEXT };
        print(head)?;
        for model in &models {
            if let Some(reason) = model.unavailable(settings.c10k) {
                note(&format!("anatomy: {} is left out: {reason}\n", model.name));
                continue;
            }
            let found = self.look_at(model, &strace, settings, interrupt);
            if interrupt.happened() {
                break;
            }
            print(&row(&model.name, &found))?;
        }
        Ok(())
    }

    fn is_meant(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|regex| regex.is_match(model))
    }

    fn look_at(
        &self,
        model: &Subject,
        strace: &Result<(), String>,
        settings: Settings<'_>,
        interrupt: &Interrupt,
    ) -> Row {
        let count = |connections, requests| {
            strace.clone()?;
            if connections > 1 && model.profile.contains(&("at_once".into(), "one".into())) {
                return Err("it serves one connection at a time".to_owned());
            }
            let settings = Settings { connections, ..settings };
            let counted = system_calls::per_request(model, requests, settings, interrupt);
            counted.map_err(|error| format!("{error:#}"))
        };
        let memory = memory::per_idle_connection(model, self.connections.get(), settings);
        Row {
            together: count(CONNECTIONS, REQUESTS),
            alone: count(1, REQUESTS_ALONE),
            memory: memory.map_err(|error| format!("{error:#}")),
        }
    }
}

/// What all models are started with.
fn settings(cpus: Option<&CpuList>) -> Settings<'_> {
    let c10k = Path::new(env!("CARGO_BIN_EXE_c10k"));
    Settings { cpus, ..Settings::new(c10k, 1) }
}
