//! The default suite under `cargo bench`, last of the benches: hands over to `c10k bench`, which measures and reports.
//!
//! `cargo bench -- ARGS` gives the same arguments to every bench. Of those, this one understands a filter, `--quick`,
//! `--list` and `--strict`; the others are criterion's.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Options of criterion that are followed by a value, which is no filter.
const OPTIONS_WITH_VALUE: &[&str] = &[
    "--baseline",
    "--baseline-lenient",
    "--color",
    "--confidence-level",
    "--format",
    "--load-baseline",
    "--measurement-time",
    "--noise-threshold",
    "--nresamples",
    "--output-format",
    "--plotting-backend",
    "--profile-time",
    "--sample-size",
    "--save-baseline",
    "--significance-level",
    "--warm-up-time",
];

fn main() -> ExitCode {
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
    command.args(["bench", "default", "--may-be-empty", "--output"]).arg(reports);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // `cargo test --benches` and criterion's profiling mode want nothing measured.
            "--test" | "--profile-time" => return ExitCode::SUCCESS,
            "--quick" | "--list" | "--strict" => _ = command.arg(arg),
            option if OPTIONS_WITH_VALUE.contains(&option) => _ = args.next(),
            option if option.starts_with('-') => {}
            filter => _ = command.args(["--filter", filter]),
        }
    }
    // In place of this process, so that Ctrl-C reaches the one that has something to save.
    eprintln!("cannot run the suite: {}", command.exec());
    ExitCode::FAILURE
}
