//! `c10k models`: lists the concurrency models of the roster.

use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Result;
use c10k_servers::{Entry, ROSTER};
use serde_json::{Map, Value, json};

use crate::limits;
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
        limits::raise_open_files();
        print(&if self.json { json_roster() } else { text_roster() })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Renders a line per model, in columns as wide as their longest cell.
fn text_roster() -> String {
    let mut rows = vec![
        ["model", "waits", "runs", "accepts", "at once", "handlers", "what it is"]
            .map(String::from),
    ];
    for entry in ROSTER {
        let [waits, runs, accepts, at_once, handlers] =
            entry.profile.named().map(|(_, value)| value);
        let about = match limits::why_not_here(entry) {
            None => entry.about.to_owned(),
            Some(reason) => format!("{}; NOT HERE: {reason}", entry.about),
        };
        rows.push([entry.name.to_owned(), waits, runs, accepts, at_once, handlers, about]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in &rows {
        let (last, columns) = row.split_last().expect("a row has columns");
        for (column, cell) in columns.iter().enumerate() {
            let _ = write!(text, "{cell:<width$}  ", width = width(column));
        }
        let _ = writeln!(text, "{last}");
    }
    text
}

fn json_roster() -> String {
    let entry = |entry: &Entry| {
        let reason = limits::why_not_here(entry);
        let mut object = Map::from_iter([
            ("name".into(), json!(entry.name)),
            ("about".into(), json!(entry.about)),
            ("available".into(), json!(reason.is_none())),
        ]);
        object.extend(reason.map(|reason| ("reason".into(), json!(reason))));
        object
            .extend(entry.profile.named().map(|(name, value)| (name.into(), Value::String(value))));
        Value::Object(object)
    };
    format!("{:#}\n", Value::Array(ROSTER.iter().map(entry).collect()))
}
