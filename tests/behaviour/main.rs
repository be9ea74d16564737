//! One behaviour suite for every concurrency model: it tests the promises of the standard and of
//! the design on a real server process, through real sockets.
//!
//! A test is a model and a behaviour, named `MODEL::behaviour`, and filters work as with any
//! `cargo test`: `cargo test --test behaviour -- epoll::` or `-- pipelined`. A new model is tested
//! without a change here: the list of models is the roster. Only a profile that no model had before
//! may need one, since the tests conclude from profiles what to expect. A new behaviour is a
//! function and a line in the list on top of its topic's file.
//!
//! That line also says which models are tested. A behaviour that depends only on the HTTP core is
//! tested on one model of each family, and on all models with `-- --include-ignored`.

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
mod topics;
#[path = "../support/wait.rs"]
mod wait;

use std::any::Any;
use std::panic;
use std::process::ExitCode;
use std::thread;

use c10k::limits;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use model::Model;
use plan::Pair;
use topics::{AskedOf, Outcome};

/// Number of tests that run at once for each processor. Most of them wait, for a timeout or for a
/// server's drain time. With six, a processor is still idle for some of its time, which it must be,
/// because all tests have deadlines to keep.
const TESTS_PER_CPU: usize = 6;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments
        .test_threads
        .or_else(|| thread::available_parallelism().ok().map(|cpus| cpus.get() * TESTS_PER_CPU));
    // A thousand clients need a thousand files of this process.
    limits::raise_open_files();
    let models = model::roster();
    let pairs = plan::pairs(&models);
    let trials = pairs.iter().map(|&pair| trial(pair, &arguments)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        println!("{}\n", summary(&models, &pairs));
    }
    conclusion.exit_code()
}

/// Summarises the models, the behaviours, the tests that run by default, and the command that runs
/// all of them.
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
    // `--ignored` selects tests by this flag. In a default run, a test with the flag would be
    // ignored without a reason.
    Trial::ignorable_test(format!("{}::{}", model.name, behaviour.name), show)
        .with_ignored_flag(left_to.is_some() && runs_all)
}

/// Returns the message of a failed test. If its server has ended by itself, the message includes
/// how: that may be the cause.
fn failure(panic: &(dyn Any + Send)) -> Failed {
    let text = panic.downcast_ref::<&str>().copied();
    let message = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    [message.unwrap_or("a panic without words"), &server::last_words()].join("\n").trim_end().into()
}
