//! `c10k models`: the roster.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use c10k_servers::{Entry, ROSTER};
use serde_json::{Map, Value, json};

use crate::output::print;

/// List the concurrency models
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(&self) -> Result<ExitCode> {
        print(&if self.json { json_roster() } else { text_roster() })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text_roster() -> String {
    let mut text =
        format!("{:<12} {:<9} {:<11} {:<13} {}\n", "MODEL", "WAITS", "RUNS", "ACCEPTS", "WHAT IT IS");
    for Entry { name, about, traits, .. } in ROSTER {
        let [waits, runs, accepts] = traits.named().map(|(_, value)| value);
        let _ = writeln!(text, "{name:<12} {waits:<9} {runs:<11} {accepts:<13} {about}");
    }
    text
}

fn json_roster() -> String {
    let entry = |entry: &Entry| {
        let mut object = Map::from_iter([
            ("name".into(), json!(entry.name)),
            ("about".into(), json!(entry.about)),
            ("available".into(), json!(true)),
        ]);
        object.extend(entry.traits.named().map(|(name, value)| (name.into(), Value::String(value))));
        Value::Object(object)
    };
    format!("{:#}\n", Value::Array(ROSTER.iter().map(entry).collect()))
}
