//! The models that this build has, as the command itself tells it.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The command that serves.
pub const C10K: &str = env!("CARGO_BIN_EXE_c10k");

/// A concurrency model.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    /// Why it can't run on this machine, if it can't.
    pub unavailable: Option<String>,
    /// What limits how many connections it serves at once: `one`, `workers`, `open files` or the like.
    pub at_once: String,
}

impl Model {
    /// Arguments of `c10k serve` with which no connection out of so many lacks a worker. Workers that are event loops are
    /// another matter: of those, a model knows best how many it wants.
    pub fn worker_args(&self, connections: usize) -> Vec<String> {
        if self.at_once == "workers" { vec!["--workers".into(), connections.to_string()] } else { Vec::new() }
    }
}

/// All models, in the order of `c10k models`.
pub fn roster() -> Result<Vec<Model>> {
    let output = Command::new(C10K).args(["models", "--json"]).output().context("cannot run c10k models")?;
    ensure!(output.status.success(), "c10k models --json: {}", output.status);
    let roster: Vec<Value> = serde_json::from_slice(&output.stdout).context("c10k models --json")?;
    roster
        .iter()
        .map(|entry| {
            read(entry)
                .context("c10k models --json does not say of each model what it is called and what limits it")
        })
        .collect()
}

fn read(entry: &Value) -> Option<Model> {
    let text = |key: &str| entry[key].as_str().map(str::to_owned);
    let available = entry["available"].as_bool().unwrap_or(true);
    Some(Model {
        name: text("name")?,
        unavailable: (!available).then(|| text("reason").unwrap_or("not available here".into())),
        at_once: text("at_once")?,
    })
}
