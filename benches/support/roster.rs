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
    blocks: bool,
}

impl Model {
    /// Arguments of `c10k serve` with which no connection out of so many lacks a worker. A worker that blocks holds one
    /// connection; one that does not is an event loop, of which a model knows best how many it wants.
    pub fn worker_args(&self, connections: usize) -> Vec<String> {
        if self.blocks { vec!["--workers".into(), connections.to_string()] } else { Vec::new() }
    }
}

/// All models, in the order of `c10k models`.
pub fn roster() -> Result<Vec<Model>> {
    let output = Command::new(C10K).args(["models", "--json"]).output().context("cannot run c10k models")?;
    ensure!(output.status.success(), "c10k models --json: {}", output.status);
    let roster: Vec<Value> = serde_json::from_slice(&output.stdout).context("c10k models --json")?;
    roster.iter().map(|entry| read(entry).context("a model of c10k models --json has no name")).collect()
}

fn read(entry: &Value) -> Option<Model> {
    let text = |key: &str| entry[key].as_str().map(str::to_owned);
    let available = entry["available"].as_bool().unwrap_or(true);
    Some(Model {
        name: text("name")?,
        unavailable: (!available).then(|| text("reason").unwrap_or("not available here".into())),
        blocks: text("waits").as_deref() == Some("blocking"),
    })
}
