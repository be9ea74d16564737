//! From arguments to an exit status: the same for every bench with arguments of its own.

use std::process::ExitCode;

use anyhow::Result;
use c10k::command::parse;
use c10k::interrupt::Interrupt;
use c10k::output::note;
use clap::Parser;

/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs a bench; an error becomes one line with the bench's name.
pub fn run<A: Parser>(
    name: &str,
    args: Vec<String>,
    bench: impl FnOnce(&A, &Interrupt) -> Result<()>,
) -> ExitCode {
    try_run(name, args, bench).unwrap_or_else(|error| {
        note(&format!("{name}: {error:#}\n"));
        ExitCode::from(2)
    })
}

fn try_run<A: Parser>(
    name: &str,
    args: Vec<String>,
    bench: impl FnOnce(&A, &Interrupt) -> Result<()>,
) -> Result<ExitCode> {
    let Some(args) = parse(std::iter::once(name.to_owned()).chain(args))? else {
        return Ok(ExitCode::SUCCESS);
    };
    let interrupt = Interrupt::catch()?;
    bench(&args, &interrupt)?;
    Ok(if interrupt.happened() { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}
