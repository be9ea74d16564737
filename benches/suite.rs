//! The suites under `cargo bench`, last of the benches: hands over to `c10k bench`, which measures and reports. The servers of
//! others come first, so that the page that is opened shows the default suite.
//!
//! `cargo bench -- ARGS` gives the same arguments to every bench. Of those, this one understands filters, `--quick`,
//! `--list` and `--strict`.

#[path = "support/arguments.rs"]
mod arguments;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let Some(args) = arguments::own() else { return ExitCode::SUCCESS };
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
    command.args(["bench", "servers", "default", "--may-be-empty", "--output"]).arg(reports);
    for arg in args {
        match arg.as_str() {
            "--quick" | "--list" | "--strict" => _ = command.arg(arg),
            option if option.starts_with('-') => {
                eprintln!(
                    "cargo bench has no option {option} here; c10k bench --help lists those of the suites"
                );
                return ExitCode::from(2);
            }
            filter => _ = command.args(["--filter", filter]),
        }
    }
    // In place of this process, so that Ctrl-C reaches the one that has something to save.
    eprintln!("cannot run the suite: {}", command.exec());
    ExitCode::FAILURE
}
