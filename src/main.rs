//! The command `c10k`: parse, run, say what went wrong, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    c10k::command::run().unwrap_or_else(|error| {
        c10k::output::note(&format!("c10k: {error:#}\n"));
        ExitCode::from(2)
    })
}
