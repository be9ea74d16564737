//! The subcommands: one file each, one line each here.

mod bench;
mod calibrate;
mod compare;
mod gate;
mod history;
mod load;
mod models;
mod report;
mod serve;
mod size;
mod wire;
#[cfg(feature = "locust")]
mod worker;

use std::ffi::OsString;
use std::io::ErrorKind::BrokenPipe;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{CommandFactory, Parser};

/// Compares server concurrency models with numbers that can be trusted.
#[derive(Debug, Parser)]
#[command(name = "c10k", version, arg_required_else_help = true, max_term_width = 100)]
enum Command {
    Models(models::Args),
    Serve(serve::Args),
    Load(Box<load::Args>),
    Bench(bench::Args),
    Report(report::Args),
    Compare(compare::Args),
    Gate(Box<gate::Args>),
    History(history::Args),
    Calibrate(calibrate::Args),
    Size(size::Args),
    Wire(wire::Args),
    #[cfg(feature = "locust")]
    Worker(worker::Args),
}

/// Runs the command line of this process. `Ok` means that the command did its work, even if its
/// verdict is negative; an error is one of usage or environment.
pub fn run() -> Result<ExitCode> {
    match parse(std::env::args_os())? {
        Some(Command::Models(args)) => args.run(),
        Some(Command::Serve(args)) => args.run(),
        Some(Command::Load(args)) => args.run(),
        Some(Command::Bench(args)) => args.run(),
        Some(Command::Report(args)) => Ok(args.run()),
        Some(Command::Compare(args)) => args.run(),
        Some(Command::Gate(args)) => args.run(),
        Some(Command::History(args)) => args.run(),
        Some(Command::Calibrate(args)) => args.run(),
        Some(Command::Size(args)) => args.run(),
        Some(Command::Wire(args)) => args.run(),
        #[cfg(feature = "locust")]
        Some(Command::Worker(args)) => args.run(),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Returns all subcommands and options, for callers that go through them.
pub fn options() -> clap::Command {
    Command::command()
}

/// Parses a command line; returns `None` if it asked for help or the version, which is then
/// printed.
pub fn parse<T: Parser>(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Option<T>> {
    let error = match T::try_parse_from(args) {
        Ok(parsed) => return Ok(Some(parsed)),
        Err(error) => error,
    };
    if !error.use_stderr() {
        // As with any result, a reader that has closed the pipe is no error.
        error
            .print()
            .or_else(|error| if error.kind() == BrokenPipe { Ok(()) } else { Err(error) })?;
        return Ok(None);
    }
    // clap explains in paragraphs; the first one is the error, and it has to fit on a line.
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or(&text);
    let line = first.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    bail!("{}; see --help", line.trim_start_matches("error: "))
}
