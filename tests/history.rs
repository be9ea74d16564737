//! `c10k history`: it adds gates as lines, shows the lines as a table, a page and JSON, and reports
//! each mistake in one line.

#[path = "support/refusal.rs"]
mod refusal;
#[path = "../ci/tests/support/simulated.rs"]
mod simulated;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use simulated::Simulated;
use tempfile::TempDir;

const ANCHOR: &str = "1111111111111111111111111111111111111111";

/// Number of the first revision that costs more.
const CULPRIT: usize = 9;

/// A folder that the command runs in.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn history(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
        command.current_dir(self.0.path()).arg("history").args(arguments);
        command.output().expect("the command can be run")
    }

    #[track_caller]
    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.history(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("it speaks text")
    }

    /// Runs the command, which has to refuse its arguments, and returns its message.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        refusal::line_of(self.history(arguments))
    }

    /// Simulates a gate of a revision with the given cost.
    fn gate(&self, name: &str, revisions: Option<(&str, &str)>, cost: f64, seed: u64) {
        let time = format!("2026-11-{:02}T03:00:00Z", seed % 30 + 1);
        Simulated { workloads: &["closed"], cost, revisions, time: &time, seed }
            .write(&self.path(name));
    }

    fn text(&self, name: &str) -> String {
        read(&self.path(name))
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn revision(number: usize) -> String {
    format!("{number:040x}")
}

#[test]
fn gates_that_were_added_show_the_first_revision_of_a_step() {
    let folder = Folder::new();
    for number in 0..16 {
        let cost = if number < CULPRIT { 1.0 } else { 1.1 };
        folder.gate("gate", Some((ANCHOR, &revision(number))), cost, number as u64);
        let said = folder.printed(&["add", "gate"]);
        assert!(said.contains(&format!("line {} of ci/history/gate.jsonl", number + 1)), "{said}");
    }
    let table = folder.printed(&[]);
    let culprit = revision(CULPRIT);
    let line = table.lines().find(|line| line.contains("server_cpu_us_per_request")).expect(&table);
    assert!(
        line.contains(&culprit[..12]) && line.contains("1.1") && line.contains("worse"),
        "{table}"
    );
    assert!(folder.text("reports/history/index.html").contains(&culprit[..12]));
    let json: Value =
        serde_json::from_str(&folder.printed(&["--json", "--output", "page"])).expect("it is JSON");
    let series = json["groups"][0]["series"].as_array().expect("series are a list");
    let of = |metric: &str| {
        series.iter().find(|series| series["metric"] == metric).expect("it is there")
    };
    assert_eq!(of("throughput_rps")["steps"][0]["first_revision"], culprit);
    assert_eq!(of("latency_p99_us")["steps"].as_array().map(Vec::len), Some(0));
    assert!(folder.path("page/index.html").is_file());
    // The history keeps no absolute number of any day: all values are ratios near 1.
    let line: Value =
        serde_json::from_str(folder.text("ci/history/gate.jsonl").lines().next().expect("a line"))
            .expect("it is JSON");
    let metrics = line["workloads"]["closed"].as_object().expect("it is measured");
    assert!(
        metrics.values().all(|metric| (0.5..2.0).contains(&metric["ratio"].as_f64().unwrap())),
        "{line}"
    );
}

#[test]
fn a_gate_that_is_incomplete_uncommitted_or_there_already_is_refused() {
    let folder = Folder::new();
    folder.gate("gate", Some((ANCHOR, &revision(1))), 1.0, 1);
    folder.printed(&["add", "gate"]);
    let before = folder.text("ci/history/gate.jsonl");
    let line = folder.refused(&["add", "gate"]);
    assert!(line.contains("ci/history/gate.jsonl, line 1 is this gate already"), "{line}");
    folder.gate("changed", Some((ANCHOR, &(revision(2) + "+changes"))), 1.0, 2);
    assert!(folder.refused(&["add", "changed"]).contains("uncommitted changes"));
    folder.gate("short", Some((ANCHOR, &revision(3))), 1.0, 3);
    let blocks = folder.text("short/blocks.jsonl");
    let nine: String = blocks.split_inclusive('\n').take(9).collect();
    fs::write(folder.path("short/blocks.jsonl"), nine).expect("it can be written");
    assert!(folder.refused(&["add", "short"]).contains("9 of 10 blocks"));
    assert!(folder.refused(&["add", "nowhere"]).contains("nowhere/plan.json"));
    assert_eq!(folder.text("ci/history/gate.jsonl"), before);
}

#[test]
fn a_gate_of_commands_needs_names() {
    let folder = Folder::new();
    folder.gate("gate", None, 1.0, 1);
    assert!(folder.refused(&["add", "gate"]).contains("--anchor NAME --revision NAME"));
    assert!(folder.refused(&["add", "gate", "--anchor", "v1"]).contains("--revision"));
    let file = ["--file", "other.jsonl"];
    folder.printed(&[&["add", "gate", "--anchor", "v1", "--revision", "v2"][..], &file].concat());
    let line: Value = serde_json::from_str(&folder.text("other.jsonl")).expect("it is JSON");
    assert_eq!((&line["anchor"], &line["revision"]), (&"v1".into(), &"v2".into()));
    assert!(
        folder
            .printed(&["other.jsonl"])
            .contains("1 gate: a step can be told from noise from 12 gates on")
    );
}

#[test]
fn a_file_that_is_missing_empty_or_damaged_is_reported_in_a_line() {
    let folder = Folder::new();
    assert!(folder.refused(&[]).contains("there is no history ci/history/gate.jsonl"));
    fs::write(folder.path("empty.jsonl"), "").expect("it can be written");
    assert!(folder.refused(&["empty.jsonl"]).contains("empty.jsonl is empty"));
    fs::write(folder.path("damaged.jsonl"), "{}\n").expect("it can be written");
    assert!(
        folder
            .refused(&["damaged.jsonl"])
            .contains("damaged.jsonl, line 1: missing field `version`")
    );
    assert!(folder.refused(&["."]).contains("cannot read ."));
    assert!(!folder.path("reports").exists());
}
