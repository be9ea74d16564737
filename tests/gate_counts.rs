//! `c10k gate --counts`, and the passes that it counts with: their results, and their messages
//! where a machine can't count.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const C10K: &str = env!("CARGO_BIN_EXE_c10k");

/// Returns a suite with one subject and the given tables.
fn suite(model: &str, tables: &str) -> String {
    format!(
        "name = \"test\"\npurpose = \"A test.\"\nrounds = 1\nwarmup = \"10ms\"\nduration = \"50ms\"\ntimeout = \"5s\"\n\
         models = [\"{model}\"]\n{tables}"
    )
}

/// A folder to run in, with a suite and a search path of its own.
struct Folder(TempDir);

impl Folder {
    fn new(suite: &str, programs: &[PathBuf]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::write(folder.path().join("suite.toml"), suite).expect("a file can be written");
        fs::create_dir(folder.path().join("bin")).expect("a folder can be made");
        for program in programs {
            let name = program.file_name().expect("a program has a name");
            symlink(program, folder.path().join("bin").join(name)).expect("a link can be made");
        }
        Self(folder)
    }

    /// Compares two models by counts, with no other programs than those of this folder.
    fn gate(&self, base: &str, candidate: &str) -> Output {
        let serve = |model: &str| format!("{C10K} serve {model} --addr {{address}}");
        self.gate_commands(&serve(base), &serve(candidate))
    }

    fn gate_commands(&self, base: &str, candidate: &str) -> Output {
        let mut command = Command::new(C10K);
        command.current_dir(self.0.path()).env("PATH", self.0.path().join("bin"));
        command.args(["gate", "--counts", "--json", "--suite", "suite.toml", "--output", "gate"]);
        command.args(["--base-command", base, "--candidate-command", candidate]);
        command.output().expect("the command can be run")
    }

    /// Runs a bench of the suite and returns its only record.
    fn bench(&self) -> Value {
        let mut command = Command::new(C10K);
        let output = command.current_dir(self.0.path()).args(["bench", "suite.toml"]).output();
        let output = output.expect("the command can be run");
        assert!(output.status.success(), "{}", said(&output));
        let runs = fs::read_dir(self.0.path().join("reports/runs")).expect("there are runs");
        let run =
            runs.map(|entry| entry.expect("it can be read").path()).next().expect("there is a run");
        let text = fs::read_to_string(run.join("record.jsonl")).expect("there is a record");
        // A measurement that is disturbed is repeated, so the last one counts.
        serde_json::from_str(text.lines().last().expect("there is a line"))
            .expect("the record is JSON")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the path of a program. Returns `None`, and prints a note, where it is not installed.
fn installed(program: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.exists())
    });
    if found.is_none() {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

#[test]
fn a_machine_that_can_count_nothing_gets_the_advice_what_to_install() {
    let folder = Folder::new(&suite("epoll", "[[workload]]\nconnections = 1\n"), &[]);
    let output = folder.gate("epoll", "epoll");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "one line for each count, and the error: {said}");
    assert!(
        lines[0].contains("system_calls_per_request")
            && lines[0].contains("apt-get install strace"),
        "{said}"
    );
    for (line, key) in lines[1..3].iter().zip(["user_instructions", "allocations"]) {
        assert!(line.contains(key) && line.contains("apt-get install valgrind"), "{said}");
    }
    assert!(lines[3].starts_with("c10k: nothing can be counted here: "), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn one_system_call_more_is_a_regression_and_none_more_is_not() {
    let Some(strace) = installed("strace") else { return };
    let folder = Folder::new(&suite("epoll", "[[workload]]\nconnections = 1\n"), &[strace]);
    for (base, candidate, status, verdict, ratio) in
        [("thread", "epoll", 1, "regressed", 1.5), ("epoll", "epoll", 0, "not regressed", 1.0)]
    {
        let output = folder.gate(base, candidate);
        if said(&output).contains("strace cannot trace here") {
            eprintln!("skipped: strace cannot trace here");
            return;
        }
        assert_eq!(output.status.code(), Some(status), "{}", said(&output));
        let result: Value = serde_json::from_slice(&output.stdout).expect("the result is JSON");
        assert_eq!(result["verdict"], verdict);
        let cell = &result["cells"][0];
        let calls = &cell["metrics"][0];
        assert_eq!(
            (&calls["key"], &calls["verdict"]),
            (&"system_calls_per_request".into(), &verdict.into())
        );
        assert!(
            (calls["ratio"].as_f64().expect("there is a ratio") - ratio).abs() < 0.01,
            "{calls}"
        );
        let left_out = cell["unjudged"].as_array().expect("some is left out");
        assert_eq!(left_out.len(), 2);
        assert!(
            left_out.iter().all(|one| one["reason"]
                .as_str()
                .is_some_and(|why| why.contains("install valgrind")))
        );
    }
}

#[test]
fn a_candidate_that_cannot_be_counted_leaves_the_gate_undecided_with_the_reason() {
    let Some(strace) = installed("strace") else { return };
    let folder = Folder::new(&suite("epoll", "[[workload]]\nconnections = 1\n"), &[strace]);
    let serve = format!("{C10K} serve epoll --addr");
    let refuses = "while read key value; do [ $key = TracerPid: ] && tracer=$value; done < /proc/self/status; \
                   [ $tracer = 0 ] || { echo no tracing >&2; exit 3; }";
    let candidate = format!("/bin/sh -c '{refuses}; exec {serve} $0' {{address}}");
    let output = folder.gate_commands(&format!("{serve} {{address}}"), &candidate);
    if said(&output).contains("strace cannot trace here") {
        eprintln!("skipped: strace cannot trace here");
        return;
    }
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let result: Value = serde_json::from_slice(&output.stdout).expect("the result is JSON");
    assert_eq!(result["verdict"], "undecided");
    let left_out = result["cells"][0]["unjudged"].as_array().expect("some is left out");
    let calls = left_out.iter().find(|one| one["key"] == "system_calls_per_request");
    let reason = calls.expect("it is left out")["reason"].as_str().expect("it is text");
    assert!(reason.starts_with("the candidate: ") && reason.contains("no tracing"), "{reason}");
}

/// Returns the metrics that passes under valgrind read of a model, and the reasons for those that
/// are missing.
fn counted(
    model: &str,
    workload: &str,
) -> Option<(BTreeMap<String, f64>, BTreeMap<String, String>)> {
    installed("valgrind")?;
    let passes = "passes = [\"user_instructions\", \"allocations\"]\n";
    let tables = format!("[[workload]]\nconnections = 1\n{workload}{passes}");
    let record = Folder::new(&suite(model, &tables), &[]).bench();
    let read = |field: &Value| serde_json::from_value(field.clone()).expect("it is a map");
    let missing = record.get("missing").map_or_else(BTreeMap::new, |missing| {
        serde_json::from_value(missing.clone()).expect("it is a map")
    });
    Some((read(&record["metrics"]), missing))
}

#[test]
fn instructions_and_allocations_of_a_request_are_counted() {
    let Some((metrics, missing)) = counted("epoll", "") else { return };
    assert!(missing.is_empty(), "{missing:?}");
    // Far fewer instructions could not process HTTP, and far more would include the start of the
    // server, which must cancel out.
    let instructions = metrics["server_user_instructions_per_request"];
    assert!((1e3..1e6).contains(&instructions), "{instructions}");
    // The HTTP core promises to allocate nothing for a request on an open connection.
    let allocations = metrics["server_allocations_per_request"];
    assert!(allocations.abs() < 0.05, "{allocations}");
}

#[test]
fn processes_that_are_there_from_the_start_count_together() {
    let Some((metrics, missing)) = counted("prefork", "") else { return };
    assert!(missing.is_empty(), "{missing:?}");
    assert!(metrics["server_user_instructions_per_request"] > 1e3, "{metrics:?}");
}
