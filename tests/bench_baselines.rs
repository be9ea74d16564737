//! `cargo bench -- --save-baseline NAME` and `--baseline NAME`, as criterion documents them.
//!
//! `cargo test` builds no benches, so this program acts as the bench of the HTTP core if
//! [`ACT_AS_BENCH`] is set.

#[path = "../benches/http_core.rs"]
mod http_core;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;

/// Environment variable that makes this program a bench.
const ACT_AS_BENCH: &str = "C10K_TEST_ACTS_AS_BENCH";

/// The one benchmark that is run, and its folder.
const BENCHMARK: &str = "http_core/head";

/// Arguments for as few and as short measurements as criterion allows, and for no plots.
const SHORTEST: [&str; 5] = ["--bench", "--quick", "--noplot", "--exact", BENCHMARK];

const TRIALS: [(&str, fn()); 4] = [
    (
        "a_run_is_compared_with_the_baseline_that_was_saved_and_leaves_it",
        compares_with_a_saved_baseline,
    ),
    ("a_saved_baseline_takes_the_place_of_the_one_before", saves_again),
    ("a_baseline_that_there_is_not_is_refused", refuses_a_missing_baseline),
    ("a_lenient_comparison_does_without_a_baseline", is_lenient),
];

fn main() -> ExitCode {
    if std::env::var_os(ACT_AS_BENCH).is_some() {
        http_core::main();
        return ExitCode::SUCCESS;
    }
    let trial = |(name, run): (&str, fn())| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), TRIALS.map(trial).into()).exit_code()
}

/// The folder that criterion keeps its results in.
struct Results(TempDir);

impl Results {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    fn bench(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(std::env::current_exe().expect("it is known"));
        command.env(ACT_AS_BENCH, "1").env("CRITERION_HOME", self.0.path());
        command.args(SHORTEST).args(arguments).output().expect("it can be run")
    }

    /// Runs the bench, which has to succeed, and returns what it printed.
    #[track_caller]
    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.bench(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("it speaks text")
    }

    fn of(&self, folder: &str) -> PathBuf {
        self.0.path().join(BENCHMARK).join(folder)
    }

    fn estimates(&self, folder: &str) -> String {
        read(&self.of(folder).join("estimates.json"))
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn compares_with_a_saved_baseline() {
    let results = Results::new();
    let first = results.printed(&["--save-baseline", "before"]);
    assert!(first.contains(BENCHMARK) && !first.contains("change:"), "{first}");
    let saved = results.estimates("before");
    let second = results.printed(&["--baseline", "before"]);
    assert!(second.contains("change:"), "{second}");
    assert!(results.estimates("change").contains("confidence_interval"));
    assert_eq!(results.estimates("before"), saved);
    assert_ne!(results.estimates("new"), saved);
}

fn saves_again() {
    let results = Results::new();
    results.printed(&["-s", "before"]);
    let saved = results.estimates("before");
    assert!(results.printed(&["-s", "before"]).contains("change:"));
    assert_ne!(results.estimates("before"), saved);
}

fn refuses_a_missing_baseline() {
    let output = Results::new().bench(&["--baseline", "elsewhere"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{output:?}");
    assert!(
        said.contains("Baseline 'elsewhere' must exist") && said.contains("--save-baseline"),
        "{said}"
    );
}

fn is_lenient() {
    let results = Results::new();
    let said = results.printed(&["--baseline-lenient", "elsewhere"]);
    assert!(said.contains(BENCHMARK) && !said.contains("change:"), "{said}");
    assert!(!results.of("elsewhere").exists());
}
