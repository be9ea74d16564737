//! The models under test, as the command itself lists them.

use std::process::Command;

use serde_json::Value;

/// The command under test.
pub const C10K: &str = env!("CARGO_BIN_EXE_c10k");

/// A concurrency model, and its declarations about itself. The expectations of the tests follow
/// from these declarations, never from the name.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Name on the command line.
    pub name: &'static str,
    /// Declarations as text: how the model waits, what runs a connection, how it accepts, where
    /// handlers run.
    pub family: [&'static str; 4],
    /// True if the model uses a whole processor by design.
    pub spins: bool,
    pub execution: Execution,
    pub connection_limit: ConnectionLimit,
    /// True if each loop has a listener of its own, so that there is no order among all waiting
    /// connections.
    pub is_sharded: bool,
    /// True if a handler that blocks runs where no other connection is served.
    pub offloads_handlers: bool,
    /// Reason why the model can't run on this machine, if it can't.
    pub unavailable: Option<&'static str>,
}

/// Kind of process or thread that runs a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    Process,
    ProcessPool,
    Thread,
    ThreadPool,
    /// A loop or a runtime, with many connections on each thread.
    Loop,
}

/// Bound on the connections that are served at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionLimit {
    One,
    Workers,
    /// Descriptors that fit into the set of `select(2)`.
    SelectableFiles,
    OpenFiles,
}

impl Model {
    /// Returns true if the model serves several connections at once.
    pub fn serves_several(&self) -> bool {
        self.connection_limit != ConnectionLimit::One
    }

    /// Returns `wanted`, but at most one for a model that serves one connection at a time.
    pub fn at_once(&self, wanted: usize) -> usize {
        if self.serves_several() { wanted } else { wanted.min(1) }
    }

    /// Returns the part of the family that decides how bytes get between the sockets and the HTTP
    /// core: how the model waits, and what runs a connection.
    pub fn wire_family(&self) -> [&'static str; 2] {
        let [waits, runs, ..] = self.family;
        [waits, runs]
    }

    /// Returns true if the model has only one thread while no client is connected.
    pub fn begins_with_one_thread(&self) -> bool {
        let [_, runs, ..] = self.family;
        !self.offloads_handlers && matches!(runs, "process" | "event loop")
    }

    /// Returns true if the model has as many loops as it is asked for.
    pub fn has_several_loops(&self) -> bool {
        let [_, runs, ..] = self.family;
        self.execution == Execution::Loop && runs != "event loop"
    }

    /// Returns true if the model makes a process or a thread for each new connection.
    pub fn has_a_task_per_connection(&self) -> bool {
        self.serves_several() && matches!(self.execution, Execution::Process | Execution::Thread)
    }
}

/// Returns all models, in the order of `c10k models`.
pub fn roster() -> Vec<Model> {
    let output =
        Command::new(C10K).args(["models", "--json"]).output().expect("c10k models --json runs");
    assert!(output.status.success(), "c10k models --json: {output:?}");
    let roster: Value =
        serde_json::from_slice(&output.stdout).expect("c10k models --json prints JSON");
    let models: Vec<Model> =
        roster.as_array().expect("the roster is an array").iter().map(read_model).collect();
    assert!(!models.is_empty(), "the roster is empty");
    models
}

/// Reads a model from its JSON. Leaks the few strings, so that a test's closure can own a model.
fn read_model(entry: &Value) -> Model {
    let text = |key: &str| entry[key].as_str().map(|text| &*text.to_owned().leak());
    let available = entry["available"].as_bool().unwrap_or(true);
    Model {
        name: text("name").expect("a model has a name"),
        family: ["waits", "runs", "accepts", "handlers"].map(|key| text(key).unwrap_or_default()),
        spins: text("waits") == Some("spin"),
        execution: match text("runs") {
            Some("process") => Execution::Process,
            Some("process pool") => Execution::ProcessPool,
            Some("thread") => Execution::Thread,
            Some("thread pool") => Execution::ThreadPool,
            Some("event loop" | "event loops" | "async tasks" | "green threads") => Execution::Loop,
            other => panic!("nobody told the tests what runs {other:?}"),
        },
        connection_limit: match text("at_once") {
            Some("one") => ConnectionLimit::One,
            Some("workers") => ConnectionLimit::Workers,
            Some("FD_SETSIZE") => ConnectionLimit::SelectableFiles,
            Some("open files") => ConnectionLimit::OpenFiles,
            other => panic!("nobody told the tests how many at once {other:?} is"),
        },
        is_sharded: text("accepts") == Some("SO_REUSEPORT shards"),
        offloads_handlers: text("handlers") == Some("offloaded"),
        unavailable: (!available)
            .then(|| text("reason").unwrap_or("not available on this machine")),
    }
}
