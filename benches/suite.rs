//! The suites under `cargo bench`, last of the benches: it hands over to `c10k bench`, which
//! measures and reports. The suite of other servers comes first, so that the page that is opened
//! shows the default suite.
//!
//! `cargo bench -- ARGS` gives the same arguments to every bench. This one takes all arguments of
//! criterion, and does what criterion would do: with `--list` it lists, and in the modes in which
//! criterion measures nothing it measures nothing.

#[path = "support/arguments.rs"]
#[allow(dead_code, reason = "each bench uses a part of it, and the test all")]
pub mod arguments;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use arguments::Asked;

/// Options of criterion about baselines, which do not apply to the suites.
const BASELINES: [&str; 3] = ["baseline", "baseline-lenient", "save-baseline"];

/// Public, so that the test of its arguments can act as this bench.
pub fn main() -> ExitCode {
    let asked = Asked::of_this_process();
    if asked.has("list") {
        return list(&asked);
    }
    if !asked.has("bench") || asked.has("test") || asked.has("ignored") {
        return ExitCode::SUCCESS;
    }
    if let Some(option) =
        ["profile-time", "load-baseline"].into_iter().find(|option| asked.gives(option))
    {
        eprintln!("the suites measure nothing with criterion's --{option}");
        return ExitCode::SUCCESS;
    }
    if let Some(option) = BASELINES.into_iter().find(|option| asked.gives(option)) {
        eprintln!(
            "--{option} is for criterion's benches; of the suites, every run is kept in reports/runs"
        );
    }
    // `exec` replaces this process, so that Ctrl-C reaches the process that has results to save.
    eprintln!("cannot run the suite: {}", bench(&asked).exec());
    ExitCode::FAILURE
}

/// Returns the command that measures.
fn bench(asked: &Asked) -> Command {
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
    command.args(["bench", "servers", "default", "--may-be-empty", "--output"]).arg(reports);
    command.args(
        ["quick", "strict"].iter().filter(|flag| asked.has(flag)).map(|flag| format!("--{flag}")),
    );
    let (axes, names): (Vec<_>, Vec<_>) =
        asked.filters().partition(|filter| is_axis(filter) && !asked.has("exact"));
    for filter in axes.into_iter().map(str::to_owned).chain(asked.joined(names.into_iter())) {
        command.arg(format!("--filter={filter}"));
    }
    command
}

/// True if `c10k bench` takes the filter for the value of an axis, such as `connections=64`.
fn is_axis(filter: &str) -> bool {
    let is_key = |key: &str| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    filter.split_once('=').is_some_and(|(key, _)| !key.is_empty() && is_key(key))
}

/// Prints a line for each cell, as criterion and libtest write them for other programs.
fn list(asked: &Asked) -> ExitCode {
    if asked.has("ignored") {
        return ExitCode::SUCCESS;
    }
    let said = match bench(asked).arg("--list").output() {
        Ok(said) => said,
        Err(error) => {
            eprintln!("cannot list the suites: {error}");
            return ExitCode::FAILURE;
        }
    };
    eprint!("{}", String::from_utf8_lossy(&said.stderr));
    let cells = String::from_utf8_lossy(&said.stdout);
    let lines = cells.lines().fold(String::new(), |lines, cell| lines + cell + ": benchmark\n");
    match c10k::output::print(&lines) {
        Ok(()) if said.status.success() => ExitCode::SUCCESS,
        _ => ExitCode::from(2),
    }
}
