//! The roster under test, as the command itself tells it.

use std::process::Command;

use serde_json::Value;

/// The command under test.
pub const C10K: &str = env!("CARGO_BIN_EXE_c10k");

/// A concurrency model, and what it declares about itself. What is expected of it follows from that and never from its
/// name.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it declares, as text: how it waits, who runs it, how it accepts, where handlers run.
    pub family: [&'static str; 4],
    /// Whether it burns a processor by design.
    pub spins: bool,
    pub runs: Runs,
    pub at_once: AtOnce,
    /// Whether each of its loops has a listener of its own, so that there is no order among all who wait.
    pub is_sharded: bool,
    /// Whether a handler that blocks runs where nobody else's connection does.
    pub offloads_handlers: bool,
    /// Why it can't run on this machine, if it can't.
    pub unavailable: Option<&'static str>,
}

/// Who runs a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    Process,
    ProcessPool,
    Thread,
    ThreadPool,
    /// A loop or a runtime, with many connections on each thread.
    Loop,
}

/// What bounds the connections that are served at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtOnce {
    One,
    Workers,
    /// `select(2)`.
    SelectableFiles,
    OpenFiles,
}

impl Model {
    /// Whether it serves several connections at once.
    pub fn serves_several(&self) -> bool {
        self.at_once != AtOnce::One
    }

    /// As many clients as it serves at once, and no more than `wanted`.
    pub fn at_once(&self, wanted: usize) -> usize {
        if self.serves_several() { wanted } else { wanted.min(1) }
    }

    /// The part of its family that decides how bytes get between its sockets and the HTTP core: how
    /// it waits, and what runs a connection.
    pub fn wire_family(&self) -> [&'static str; 2] {
        let [waits, runs, ..] = self.family;
        [waits, runs]
    }

    /// Whether one thread is all it has while nobody is connected.
    pub fn begins_with_one_thread(&self) -> bool {
        let [_, runs, ..] = self.family;
        !self.offloads_handlers && matches!(runs, "process" | "event loop")
    }

    /// Whether it makes a process or a thread for each new connection.
    pub fn has_a_task_per_connection(&self) -> bool {
        self.serves_several() && matches!(self.runs, Runs::Process | Runs::Thread)
    }
}

/// All models, in the order of `c10k models`.
pub fn roster() -> Vec<Model> {
    let output = Command::new(C10K).args(["models", "--json"]).output().expect("c10k models --json runs");
    assert!(output.status.success(), "c10k models --json: {output:?}");
    let roster: Value = serde_json::from_slice(&output.stdout).expect("c10k models --json prints JSON");
    let models: Vec<Model> =
        roster.as_array().expect("the roster is an array").iter().map(read_model).collect();
    assert!(!models.is_empty(), "the roster is empty");
    models
}

/// Leaks the few strings, so that a test's closure can own a model.
fn read_model(entry: &Value) -> Model {
    let text = |key: &str| entry[key].as_str().map(|text| &*text.to_owned().leak());
    let available = entry["available"].as_bool().unwrap_or(true);
    Model {
        name: text("name").expect("a model has a name"),
        family: ["waits", "runs", "accepts", "handlers"].map(|key| text(key).unwrap_or_default()),
        spins: text("waits") == Some("spin"),
        runs: match text("runs") {
            Some("process") => Runs::Process,
            Some("process pool") => Runs::ProcessPool,
            Some("thread") => Runs::Thread,
            Some("thread pool") => Runs::ThreadPool,
            Some("event loop" | "event loops" | "async tasks" | "green threads") => Runs::Loop,
            other => panic!("nobody told the tests what runs {other:?}"),
        },
        at_once: match text("at_once") {
            Some("one") => AtOnce::One,
            Some("workers") => AtOnce::Workers,
            Some("FD_SETSIZE") => AtOnce::SelectableFiles,
            Some("open files") => AtOnce::OpenFiles,
            other => panic!("nobody told the tests how many at once {other:?} is"),
        },
        is_sharded: text("accepts") == Some("SO_REUSEPORT shards"),
        offloads_handlers: text("handlers") == Some("offloaded"),
        unavailable: (!available).then(|| text("reason").unwrap_or("not available on this machine")),
    }
}
