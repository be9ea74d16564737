//! The page of a gate that was really measured: written with its histograms, linked to, and
//! rendered again without measuring.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const SUITE: &str = r#"
name = "small"
purpose = "A test."
rounds = 4
warmup = "20ms"
duration = "50ms"
timeout = "2s"
models = ["epoll"]

[[workload]]
lifetime = "persistent"
connections = 4
"#;

/// Budgets that are tried in turn: a busy machine needs a longer one, since a gate has to have
/// seven blocks.
const BUDGETS: [&str; 3] = ["15s", "45s", "120s"];

fn c10k(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_c10k"))
        .args(arguments)
        .output()
        .expect("the command can be run")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_gate_leaves_a_page_with_histograms_that_is_rendered_again_without_measuring() {
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("reports");
    let suite = folder.path().join("suite.toml");
    let gate = reports.join("gate");
    fs::create_dir_all(reports.join("runs")).unwrap();
    fs::write(&suite, SUITE).unwrap();
    let server = format!("'{}' serve epoll --addr 127.0.0.1:{{port}}", env!("CARGO_BIN_EXE_c10k"));
    let suite = suite.to_str().unwrap();
    let output = gate.to_str().unwrap();
    let servers = ["gate", "--base-command", &server, "--candidate-command", &server];
    let rest = ["--suite", suite, "--seed", "7", "--output", output, "--budget"];
    let run = |budget| c10k(&[&servers[..], &rest, &[budget]].concat());
    let is_long_enough =
        |run: &Output| !String::from_utf8_lossy(&run.stderr).contains("is too short");
    let measured =
        BUDGETS.into_iter().map(run).find(is_long_enough).expect("two minutes are enough");
    let said = String::from_utf8_lossy(&measured.stderr).into_owned();
    // A busy machine may make two copies of one server look different; the gate is measured all the
    // same.
    assert!(matches!(measured.status.code(), Some(0 | 1 | 3)), "{said}");
    assert!(said.contains("index.html"), "{said}");

    let blocks = text(&gate.join("blocks.jsonl")).lines().count();
    let logs: Vec<_> = fs::read_dir(&gate)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hlog"))
        .collect();
    assert_eq!(logs.len(), 2, "{logs:?}");
    for log in logs {
        let latencies = text(&log).lines().filter(|line| line.starts_with("Tag=latency,")).count();
        assert_eq!(latencies, blocks, "{}", log.display());
    }

    let page = text(&gate.join("index.html"));
    assert!(page.contains("Latency by percentile") && page.contains("Shift of each percentile"));
    assert!(
        text(&reports.join("index.html"))
            .contains("<a href=\"gate/index.html\">The newest gate</a>")
    );
    let measurements = text(&gate.join("blocks.jsonl"));
    fs::remove_file(gate.join("index.html")).unwrap();
    let rendered = c10k(&["report", output]);
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    assert_eq!(text(&gate.join("index.html")), page);
    assert_eq!(text(&gate.join("blocks.jsonl")), measurements);

    let (_, cut) = measurements.split_once('\n').unwrap();
    fs::write(gate.join("blocks.jsonl"), cut).unwrap();
    let refused = c10k(&["report", output]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("cut short") && said.lines().count() == 1, "{said}");
    assert_eq!(text(&gate.join("index.html")), page);
}
