//! The walk of `docs/LECTURE.md`: every command of it runs here as it is printed, and says what the
//! document shows below it.
//!
//! A test is a numbered section of the document. It has a shell, a folder and a network of its own,
//! so that port 8080 is free and sections run side by side. The preparation above the first section
//! is not run: it builds what the test has already.

mod document;
mod excerpt;
mod shell;
#[path = "../support/wait.rs"]
#[expect(dead_code, reason = "other tests wait for conditions that have a name")]
mod wait;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use document::{Document, Section};
use shell::Shell;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/LECTURE.md");
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/servers/examples");

/// Programs that a machine may lack, and the words of commands that need them. Sections with these
/// words are left out there.
const OPTIONAL: [(&str, &[&str]); 3] =
    [("curl", &["curl"]), ("ss", &["ss"]), ("strace", &["strace", "wire"])];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let text = fs::read_to_string(DOCUMENT).expect("the document can be read");
    let Document { sections, stray } = Document::parse(&text);
    let mut trials = vec![
        Trial::test("every_command_is_in_a_section", move || {
            if stray.is_empty() { Ok(()) } else { Err(stray.join("\n").into()) }
        }),
        Trial::test("an_excerpt_is_in_an_output_that_has_its_lines_in_order", || {
            excerpt::check_the_comparison();
            Ok(())
        }),
    ];
    let refusal = refusal();
    for section in sections {
        let refusal = refusal.clone();
        trials.push(Trial::ignorable_test(section.title.clone(), move || walk(&section, refusal)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs the commands of a section.
fn walk(section: &Section, refusal: Option<String>) -> Result<Completion, Failed> {
    let path = path();
    if let Some(reason) = refusal.or_else(|| missing(section, &path)) {
        return Ok(Completion::ignored_with(reason));
    }
    if section.commands.iter().all(|command| command.excerpt.is_empty()) {
        return Err("the section shows no line of any output".into());
    }
    let mut shell = Shell::start(&path);
    for command in &section.commands {
        shell.run(command)?;
    }
    shell.end()?;
    Ok(Completion::Completed)
}

/// Returns the search path of the shells: the built programs, and the path of this process.
fn path() -> String {
    let built = Path::new(env!("CARGO_BIN_EXE_c10k")).parent().expect("it is in a folder");
    let inherited = env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let folders = [built.to_owned(), built.join("examples")]
        .into_iter()
        .chain(env::split_paths(&inherited))
        .chain(administrators);
    let joined = env::join_paths(folders).expect("no folder has a colon in its name");
    joined.into_string().expect("paths are text")
}

/// Returns why no section can run here; `None` if they can.
fn refusal() -> Option<String> {
    let trial = [shell::UNSHARE, &["sh", "-c", shell::LOOPBACK_UP]].concat();
    let status = Command::new(trial[0]).args(&trial[1..]).stderr(Stdio::null()).status();
    let is_allowed = status.is_ok_and(|status| status.success());
    (!is_allowed).then(|| format!("this machine does not allow `{}`", trial.join(" ")))
}

/// Returns which program of a section is not there; `None` if all are.
fn missing(section: &Section, path: &str) -> Option<String> {
    let words: BTreeSet<&str> =
        section.commands.iter().flat_map(|command| command.text.split_whitespace()).collect();
    let is_there = |program: &str| {
        which::which_in_global(program, Some(path)).is_ok_and(|mut found| found.next().is_some())
    };
    let is_named = |names: &[&str]| names.iter().any(|name| words.contains(name));
    let absent = OPTIONAL.iter().find(|(name, words)| is_named(words) && !is_there(name));
    if let Some((program, _)) = absent {
        return Some(format!("{program} is not installed"));
    }
    let absent = examples().find(|name| words.contains(&**name) && !is_there(name))?;
    Some(format!("{absent} is not built; `cargo build --examples` builds it"))
}

/// Returns the names of the example servers.
fn examples() -> impl Iterator<Item = String> {
    let files = fs::read_dir(EXAMPLES).expect("there are examples");
    let paths = files.map(|file| file.expect("the folder can be read").path());
    paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
}
