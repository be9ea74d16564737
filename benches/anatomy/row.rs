//! What was found out about a model, for the terminal and for Markdown.

use crate::memory::Idle;

/// Calls per request by name, or why they were not counted.
pub type Calls = Result<Vec<(String, f64)>, String>;

/// What was found out about a model.
#[derive(Debug)]
pub struct Row {
    /// With requests on many connections.
    pub together: Calls,
    /// With requests on one.
    pub alone: Calls,
    pub memory: Result<Idle, String>,
}

/// Fewer calls per request than this do not count: they belong to something that happens now and then, such as threads that
/// meet while they start, and differ from run to run.
const NOW_AND_THEN: f64 = 0.005;

/// How rows are shown.
pub struct Format {
    /// What comes before the first one.
    pub head: &'static str,
    /// A row about the model of that name.
    pub row: fn(&str, &Row) -> String,
}

/// A few lines for each model.
pub const TEXT: Format = Format { head: "", row: text };

/// A table.
pub const MARKDOWN: Format = Format {
    head: "\
| model | system calls per request, 64 connections | system calls per request, 1 connection | KiB per idle connection | of so many | tasks then |
|---|---|---|--:|--:|--:|
",
    row: markdown,
};

fn text(model: &str, row: &Row) -> String {
    let Row { together, alone, memory } = row;
    let memory = match memory {
        Ok(Idle { connections, bytes_per_connection, tasks }) => {
            format!("{:.2} KiB for each of {connections}; tasks: {tasks}", bytes_per_connection / 1024.0)
        }
        Err(error) => error.clone(),
    };
    format!(
        "{model}\n  64 connections    {}\n  1 connection      {}\n  idle connections  {memory}\n",
        calls(together),
        calls(alone)
    )
}

fn markdown(model: &str, row: &Row) -> String {
    let memory = match &row.memory {
        Ok(Idle { connections, bytes_per_connection, tasks }) => {
            format!("{:.2} | {connections} | {tasks}", bytes_per_connection / 1024.0)
        }
        Err(error) => format!("{error} | | "),
    };
    format!("| `{model}` | {} | {} | {memory} |\n", calls(&row.together), calls(&row.alone))
}

/// How many, and which.
fn calls(calls: &Calls) -> String {
    let calls = match calls {
        Ok(calls) => calls,
        Err(error) => return error.clone(),
    };
    let worth_it = || calls.iter().filter(|(_, calls)| *calls >= NOW_AND_THEN);
    let all: f64 = worth_it().map(|(_, calls)| calls).sum();
    let named: Vec<_> = worth_it().map(|(name, calls)| format!("{name} {calls:.2}")).collect();
    format!("{all:.2}: {}", named.join(", "))
}
