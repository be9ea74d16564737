//! One behaviour suite for every concurrency model: what the standard and the design promise, asked of a real server
//! process through real sockets.
//!
//! A test is a model and a behaviour, named `MODEL::behaviour`, and filters work as with any `cargo test`:
//! `cargo test --test behaviour -- epoll::` or `-- pipelined`. A new model is tested without a line here: the roster is
//! asked of `c10k models --json`. A new behaviour is a function and a line in the list on top of its subject's file.
//!
//! That line also says which models are asked for it. What only the HTTP core decides is asked of
//! one model of each family, and of all of them with `-- --include-ignored`.

#[path = "../support/client.rs"]
mod client;
mod holdings;
mod load;
mod machine;
#[path = "../support/model.rs"]
mod model;
mod plan;
#[path = "../support/processes.rs"]
mod processes;
mod scarcity;
#[path = "../support/server.rs"]
mod server;
mod subjects;
#[path = "../support/wait.rs"]
mod wait;

use std::any::Any;
use std::panic;
use std::process::ExitCode;
use std::thread;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use model::Model;
use plan::Pair;
use subjects::{AskedOf, Outcome};

/// Tests at once for each processor. Most of them wait, for a timeout or for a server's drain time:
/// six leave a processor some of its time, since all of them have deadlines to keep.
const TESTS_PER_CPU: usize = 6;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments
        .test_threads
        .or_else(|| thread::available_parallelism().ok().map(|cpus| cpus.get() * TESTS_PER_CPU));
    raise_open_files();
    let models = model::roster();
    let pairs = plan::pairs(&models);
    let trials = pairs.iter().map(|&pair| trial(pair, &arguments)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        println!("{}\n", summary(&models, &pairs));
    }
    conclusion.exit_code()
}

/// What there is, how much of it runs by default, and how to run all.
fn summary(models: &[Model], pairs: &[Pair]) -> String {
    let names: Vec<&str> = models.iter().map(|model| model.name).collect();
    let by_default = pairs.iter().filter(|pair| pair.left_to.is_none()).count();
    format!(
        "{} models ({}) × {} behaviours: {by_default} of {} tests run by default (HTTP on one \
         model of each family), all with `cargo test --test behaviour -- --include-ignored`",
        models.len(),
        names.join(", "),
        pairs.len() / models.len(),
        pairs.len(),
    )
}

fn trial(Pair { model, behaviour, left_to }: Pair, arguments: &Arguments) -> Trial {
    let runs_all = arguments.include_ignored || arguments.ignored;
    let show = move || {
        if let Some(reason) = model.unavailable {
            return Ok(Completion::ignored_with(reason));
        }
        if behaviour.asked_of == AskedOf::EveryModelOfSeveral && !model.serves_several() {
            return Ok(Completion::ignored_with("serves one connection at a time"));
        }
        if let Some(other) = left_to.filter(|_| !runs_all) {
            let reason = format!("{other} shows it; --include-ignored runs it");
            return Ok(Completion::ignored_with(reason));
        }
        match panic::catch_unwind(|| (behaviour.show)(&model)) {
            Ok(Outcome::Shown) => Ok(Completion::Completed),
            Ok(Outcome::Skipped(reason)) => Ok(Completion::ignored_with(reason)),
            Err(panic) => Err(failure(&*panic)),
        }
    };
    // `--ignored` selects by the flag. By default, a test with it would be ignored with no reason.
    Trial::ignorable_test(format!("{}::{}", model.name, behaviour.name), show)
        .with_ignored_flag(left_to.is_some() && runs_all)
}

/// What a test failed with, and how its server ended, if it did: that would be why.
fn failure(panic: &(dyn Any + Send)) -> Failed {
    let text = panic.downcast_ref::<&str>().copied();
    let message = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    [message.unwrap_or("a panic without words"), &server::last_words()].join("\n").trim_end().into()
}

/// A thousand clients are a thousand files of this process; the soft limit is often 1024.
fn raise_open_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
