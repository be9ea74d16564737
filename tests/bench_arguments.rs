//! `cargo bench -- ARGS`: every bench accepts what criterion accepts, by criterion's own list of
//! options.
//!
//! `cargo test` builds no benches, so this program acts as a bench if [`ACT_AS`] says so: as a
//! criterion bench, or as the bench of the suites.

#[path = "../benches/suite.rs"]
mod suite;

use std::process::{Command, ExitCode, Output};

use criterion::Criterion;
use libtest_mimic::{Arguments, Trial};
use regex::Regex;
use suite::arguments::{self, Asked};

/// Environment variable that names the bench that this program acts as.
const ACT_AS: &str = "C10K_TEST_ACTS_AS";

/// Options of criterion that its help does not show, or shows under another name.
const HIDDEN: [&str; 6] =
    ["--bench", "--test", "--nocapture", "--show-output", "--include-ignored", "--colour=never"];

/// Names of the trials, and the functions that they run.
const TRIALS: [(&str, fn()); 7] = [
    ("every_option_of_criterion_is_taken_and_no_value_is_a_filter", takes_every_option),
    ("help_and_version_are_printed_and_nothing_is_measured", prints_help_and_version),
    ("modes_in_which_criterion_measures_nothing_measure_nothing", measures_nothing),
    ("a_list_has_the_lines_of_criterion", lists_as_criterion_does),
    ("one_of_several_filters_has_to_match", takes_several_filters),
    ("an_exact_filter_is_a_whole_name", takes_an_exact_filter),
    ("mistakes_are_refused", refuses_mistakes),
];

fn main() -> ExitCode {
    match std::env::var(ACT_AS).as_deref() {
        Ok("criterion") => act_as_criterion(),
        Ok("suite") => return suite::main(),
        _ => {}
    }
    let trial = |(name, run): (&str, fn())| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), TRIALS.map(trial).into()).exit_code()
}

/// Acts as a bench of the same kind as `benches/http_core.rs`.
fn act_as_criterion() -> ! {
    arguments::complete_criterion();
    let mut criterion = Criterion::default().configure_from_args();
    for name in ["epoll/a", "fork/b", "poll/c"] {
        criterion.bench_function(name, |bencher| bencher.iter(|| 1));
    }
    std::process::exit(0);
}

/// Runs a bench to its end.
fn run(bench: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("it is known"));
    command.env(ACT_AS, bench).args(arguments).output().expect("it can be run")
}

/// Runs a bench, which has to succeed, and returns what it printed.
#[track_caller]
fn printed(bench: &str, arguments: &[&str]) -> String {
    let output = run(bench, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it speaks text")
}

/// An option as criterion's help shows it.
struct Shown {
    /// Names with their dashes, such as `--save-baseline` and `-s`.
    names: Vec<String>,
    has_value: bool,
}

fn options_of_criterion() -> Vec<Shown> {
    let help = printed("criterion", &["--help"]);
    let line =
        Regex::new(r"(?m)^ +(?:(-\w), |)(--[a-z-]+)( <)?").expect("it is a regular expression");
    let shown = |found: regex::Captures<'_>| Shown {
        names: found
            .iter()
            .skip(1)
            .take(2)
            .flatten()
            .map(|name| name.as_str().to_owned())
            .collect(),
        has_value: found.get(3).is_some(),
    };
    let options: Vec<Shown> = line.captures_iter(&help).map(shown).collect();
    assert!(options.len() > 20, "its help has {} options: {help}", options.len());
    options
}

fn takes_every_option() {
    let options = options_of_criterion();
    for Shown { names, has_value } in &options {
        for name in names.iter().filter(|name| !["--help", "-h"].contains(&name.as_str())) {
            // A short option may have its value right after it.
            let joined =
                if name.starts_with("--") { format!("{name}=20") } else { format!("{name}20") };
            let forms: &[&[&str]] =
                if *has_value { &[&[name, "20"], &[&joined]] } else { &[&[name]] };
            for form in forms {
                assert_no_filter(form);
            }
        }
    }
    for option in HIDDEN {
        // Criterion does not list and test at once.
        let and = if option == "--test" { &[][..] } else { &["--list"] };
        printed("criterion", &[&[option], and].concat());
        assert_no_filter(&[option]);
    }
}

/// Checks that the words are accepted, and that a filter after them is the only filter.
#[track_caller]
fn assert_no_filter(words: &[&str]) {
    let args = ["suite"].iter().chain(words).chain(&["epoll"]).map(ToString::to_string);
    let asked = Asked::of(args).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert_eq!(asked.filters().collect::<Vec<_>>(), ["epoll"], "{words:?}");
}

fn prints_help_and_version() {
    for arguments in [["--help", "--bench"], ["-h", "--bench"]] {
        assert!(printed("suite", &arguments).contains("Usage: cargo bench"), "{arguments:?}");
        assert!(printed("criterion", &arguments).contains("Criterion.rs"), "{arguments:?}");
    }
    for bench in ["suite", "criterion"] {
        for flag in ["--version", "-V"] {
            assert!(
                printed(bench, &[flag, "--bench"]).contains(env!("CARGO_PKG_VERSION")),
                "{bench}, {flag}"
            );
        }
    }
}

fn measures_nothing() {
    for arguments in [
        &[][..],
        &["--bench", "--test"],
        &["--bench", "--ignored"],
        &["--bench", "--list", "--ignored"],
        &["--bench", "--profile-time", "5"],
        &["--bench", "-b", "main", "--load-baseline", "new"],
    ] {
        assert_eq!(printed("suite", arguments), "", "{arguments:?}");
    }
}

/// Returns the names in a list, each line of which has to look as criterion's do.
#[track_caller]
fn listed(bench: &str, arguments: &[&str]) -> Vec<String> {
    let list = printed(bench, &[&["--list", "--format", "terse"], arguments].concat());
    let name = |line: &str| line.strip_suffix(": benchmark").map(str::to_owned);
    list.lines().map(|line| name(line).unwrap_or_else(|| panic!("{line:?}"))).collect()
}

fn lists_as_criterion_does() {
    assert_eq!(listed("criterion", &["-s", "main"]), ["epoll/a", "fork/b", "poll/c"]);
    let all = listed("suite", &["-s", "main", "-c", "always", "--include-ignored"]);
    assert!(all.len() > 20 && all.iter().all(|name| name.contains('/')), "{all:?}");
}

fn takes_several_filters() {
    assert_eq!(listed("criterion", &["^poll", "fork"]), ["fork/b", "poll/c"]);
    assert_eq!(listed("criterion", &["-v", "poll/c", "fork/b", "--exact"]), ["fork/b", "poll/c"]);
    let names = listed("suite", &["^epoll/", "^fork/"]);
    for model in ["epoll/", "fork/"] {
        assert!(names.iter().any(|name| name.starts_with(model)), "{model}: {names:?}");
    }
    assert!(
        names.iter().all(|name| ["epoll/", "fork/"].iter().any(|model| name.starts_with(model)))
    );
    let narrowed = listed("suite", &["^epoll/", "^fork/", "lifetime=short"]);
    assert!(!narrowed.is_empty() && narrowed.len() < names.len(), "{narrowed:?} of {names:?}");
}

fn takes_an_exact_filter() {
    let all = listed("suite", &[]);
    assert_eq!(listed("suite", &["--exact", &all[0]]), [all[0].as_str()]);
    assert_eq!(listed("suite", &["--exact", "epoll"]), <[&str; 0]>::default());
}

fn refuses_mistakes() {
    for bench in ["suite", "criterion"] {
        for arguments in [&["--swerve"][..], &["--baseline"], &["-z"]] {
            let output = run(bench, arguments);
            assert_eq!(output.status.code(), Some(2), "{bench}, {arguments:?}: {output:?}");
        }
    }
    let output = run("suite", &["--list", "("]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
