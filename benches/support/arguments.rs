//! The arguments of `cargo bench -- ARGS`, which gives the same ones to every bench. Criterion's
//! arguments are read here as criterion reads them, for benches that do not use criterion, or that
//! take more arguments than criterion does.

use std::os::unix::process::CommandExt;

use clap::{Arg, ArgAction, ArgMatches, Command};

/// Options of criterion that are followed by a value, with their short forms.
const OPTIONS: &[(Option<char>, &str)] = &[
    (Some('b'), "baseline"),
    (None, "baseline-lenient"),
    (Some('c'), "color"),
    (None, "colour"),
    (None, "confidence-level"),
    (None, "format"),
    (None, "load-baseline"),
    (None, "measurement-time"),
    (None, "noise-threshold"),
    (None, "nresamples"),
    (None, "output-format"),
    (None, "plotting-backend"),
    (None, "profile-time"),
    (None, "sample-size"),
    (Some('s'), "save-baseline"),
    (None, "significance-level"),
    (None, "warm-up-time"),
];

/// Options of criterion without a value, except those in [`SHARED`], which the help shows.
const FLAGS: &[(Option<char>, &str)] = &[
    (None, "bench"),
    (None, "discard-baseline"),
    (None, "ignored"),
    (None, "include-ignored"),
    (None, "nocapture"),
    (Some('n'), "noplot"),
    (None, "quiet"),
    (None, "show-output"),
    (None, "test"),
    (Some('v'), "verbose"),
];

/// Flags of criterion that have a meaning in this bench, too, with their help texts.
const SHARED: &[(&str, &str)] = &[
    ("exact", "Run what a filter names in full"),
    ("list", "List what there is"),
    ("quick", "Fewer and shorter measurements"),
];

/// The one flag that criterion does not have.
const STRICT: (&str, &str) =
    ("strict", "Exit with status 1 if a request fails, or a check of a measurement");

/// Arguments of a bench.
#[derive(Debug)]
pub struct Asked(ArgMatches);

impl Asked {
    /// Reads the arguments of this process. For help, the version and mistakes, it ends the
    /// process.
    pub fn of_this_process() -> Self {
        Self::of(std::env::args()).unwrap_or_else(|error| error.exit())
    }

    /// Parses these arguments. The first is the name of the program.
    pub fn of(args: impl IntoIterator<Item = String>) -> Result<Self, clap::Error> {
        command().try_get_matches_from(args).map(Self)
    }

    /// True if a flag was given.
    pub fn has(&self, flag: &str) -> bool {
        self.0.get_flag(flag)
    }

    /// True if an option was given, with any value.
    pub fn gives(&self, option: &str) -> bool {
        self.0.contains_id(option)
    }

    /// Returns the filters as they were given. It is enough if one of them matches.
    pub fn filters(&self) -> impl Iterator<Item = &str> {
        self.0.get_many::<String>("FILTER").into_iter().flatten().map(String::as_str)
    }

    /// Returns one regular expression for several filters. With `--exact`, each filter is a whole
    /// name.
    pub fn joined<'a>(&self, filters: impl Iterator<Item = &'a str>) -> Option<String> {
        let exact = |filter: &str| format!("^{}$", regex::escape(filter));
        let regex =
            |filter: &str| if self.has("exact") { exact(filter) } else { filter.to_owned() };
        let filters: Vec<String> = filters.map(regex).collect();
        match &filters[..] {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(format!("(?:{})", several.join(")|(?:"))),
        }
    }

    /// Returns the arguments in their long form, with one filter in place of all filters.
    fn with_one_filter(&self) -> Vec<String> {
        let flags = FLAGS.iter().map(|(_, flag)| *flag).chain(["list", "quick"]);
        let flags = flags.filter(|flag| self.has(flag)).map(|flag| format!("--{flag}"));
        let value =
            |name: &str| self.0.get_one::<String>(name).map(|value| format!("--{name}={value}"));
        let options = OPTIONS.iter().filter_map(|(_, name)| value(name));
        flags.chain(options).chain(self.joined(self.filters())).collect()
    }
}

fn command() -> Command {
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    let short = |arg: Arg, short: Option<char>| {
        if let Some(short) = short { arg.short(short) } else { arg }
    };
    let shared = SHARED.iter().chain([&STRICT]).map(|&(name, help)| flag(name).help(help));
    let flags = FLAGS.iter().map(|&(letter, name)| short(flag(name).hide(true), letter));
    let options =
        OPTIONS.iter().map(|&(letter, name)| short(Arg::new(name).long(name).hide(true), letter));
    Command::new("c10k")
        .bin_name("cargo bench --bench suite --")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The suites of c10k")
        .arg(Arg::new("FILTER").num_args(0..).help(
            "Regular expressions over SUBJECT/WORKLOAD, of which one has to match, and AXIS=VALUE, such as \
             connections=64, which all have to",
        ))
        .args(shared)
        .args(flags)
        .args(options)
        .after_help("Criterion's other options are taken and change nothing. c10k bench --help lists more.")
}

/// Makes criterion take several filters, and print the version. Criterion alone refuses several
/// filters, and still measures after it was asked for the version. With several filters, this
/// process is replaced by one with a single filter, because criterion reads its arguments itself.
pub fn complete_criterion() {
    let lenient = command().disable_help_flag(true).ignore_errors(true);
    // Criterion reports mistakes.
    let asked = Asked(lenient.get_matches());
    if asked.filters().nth(1).is_none() {
        return;
    }
    let Ok(own) = std::env::current_exe() else { return };
    let error = std::process::Command::new(own).args(asked.with_one_filter()).exec();
    eprintln!("cannot join the filters: {error}");
    std::process::exit(2);
}
