//! The roster under test, as the command itself tells it.

use std::process::Command;

use serde_json::Value;

/// The command under test.
pub const C10K: &str = env!("CARGO_BIN_EXE_c10k");

/// A concurrency model.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Its name on the command line.
    pub name: &'static str,
    /// Whether it burns a processor by design.
    pub spins: bool,
    /// Why it can't run on this machine, if it can't.
    pub unavailable: Option<&'static str>,
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
        spins: text("waits") == Some("spin"),
        unavailable: (!available).then(|| text("reason").unwrap_or("not available on this machine")),
    }
}
