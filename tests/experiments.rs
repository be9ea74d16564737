//! Experiments with `c10k bench`: searches for a capacity, runs that are resumed, machines that
//! disturb a run, and claims.

#[path = "support/bench.rs"]
mod bench;
#[path = "support/processes.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
mod processes;
#[path = "support/wait.rs"]
mod wait;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use bench::{Bench, of, read};

/// Suite of two subjects: six measurements in three rounds, which take some seconds.
const SIX: &str = r#"
models = ["poll", "epoll"]
[[workload]]
connections = 4
"#;

/// Returns round and subject of every measurement that was not replaced.
fn standing(records: &[Value]) -> Vec<(u64, String)> {
    let name = |record: &Value| {
        (
            record["round"].as_u64().expect("a number"),
            record["cell"]["subject"].as_str().expect("a name").to_owned(),
        )
    };
    records.iter().map(name).collect()
}

fn start(bench: &Bench, arguments: &[&str]) -> Child {
    bench
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command can be run")
}

#[test]
fn a_killed_run_is_resumed_with_its_seed_and_its_order_and_measures_nothing_twice() {
    let bench = Bench::new(SIX);
    let mut child = start(&bench, &["--rounds", "3", "--seed", "5"]);
    let runs = bench.folder.path().join("reports/runs");
    wait::until("two measurements are there", || {
        runs.is_dir() && std::fs::read_dir(&runs).is_ok_and(|mut runs| runs.next().is_some()) && {
            let record = bench.run_dir().join("record.jsonl");
            record.is_file() && read(&record).lines().count() >= 2
        }
    });
    let servers = processes::descendants(child.id().cast_signed());
    kill_process(Pid::from_child(&child), Signal::KILL).expect("it runs");
    child.wait().expect("it ends");
    wait::until("no server is left", || servers.iter().all(|server| !server.is_there()));
    let before = bench.records().len();
    assert!(before < 6, "the test killed it too late");

    let dir = bench.run_dir();
    let output = bench.bench(&["--resume", dir.to_str().expect("it is text")]);
    assert!(output.status.success(), "{output:?}");
    let records = bench.records();
    let once = standing(&records);
    let all = standing(&records).into_iter().collect::<BTreeSet<_>>();
    assert_eq!((once.len(), all.len()), (6, 6), "{once:?}");
    // The same seed has the same order.
    let other = Bench::new(SIX);
    assert!(other.run(&["--rounds", "3", "--seed", "5"]).status.success());
    assert_eq!(standing(&other.records()), once);
    assert!(bench.page().contains("6 of 6"), "the page tells another number");
}

#[test]
fn a_complete_run_has_nothing_to_resume() {
    let bench = Bench::new(SIX);
    assert!(bench.run(&["--seed", "5"]).status.success());
    let dir = bench.run_dir();
    let before = bench.records();
    let output = bench.bench(&["--resume", dir.to_str().expect("it is text")]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(bench.records(), before);
}

#[test]
fn a_run_that_is_being_measured_is_not_resumed() {
    let bench = Bench::new(SIX);
    let mut child = start(&bench, &["--rounds", "20"]);
    let runs = bench.folder.path().join("reports/runs");
    wait::until("it has begun", || {
        std::fs::read_dir(&runs).is_ok_and(|mut runs| runs.next().is_some())
    });
    wait::until("it writes", || bench.run_dir().join("record.jsonl").is_file());
    let output = bench.bench(&["--resume", bench.run_dir().to_str().expect("it is text")]);
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("another process is writing it") && said.lines().count() == 1, "{said}");
}

/// The same two subjects, with so few requests that their histograms are small.
const SMALL: &str = r#"
models = ["poll", "epoll"]
[[workload]]
connections = 4
path = "/sleep/20000"
"#;

#[test]
fn a_disk_that_fills_up_loses_one_measurement_and_the_run_is_resumed_from_there() {
    let first = Bench::new(SMALL);
    assert!(first.run(&["--seed", "5"]).status.success());
    let files = first.run_dir().read_dir().expect("it is a folder");
    let files = files.map(|file| file.expect("it can be read").path());
    let is_written_first =
        |file: &PathBuf| ["json", "hlog"].iter().any(|end| file.extension() == Some(end.as_ref()));
    let bytes = |file: PathBuf| file.metadata().expect("it is there").len();
    // The limit allows each file that a run writes before its page, and a few lines of a longer
    // record.
    let record = first.run_dir().join("record.jsonl");
    let largest =
        files.filter(is_written_first).chain([record]).map(bytes).max().expect("there are files");
    let bench = Bench::new(SMALL);
    let mut shell = Command::new("bash");
    // 25 is SIGXFSZ, which would end it.
    let script = format!("trap '' 25; ulimit -f {}; exec \"$@\"", (largest * 3 / 2).div_ceil(1024));
    shell.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_c10k"), "bench", "suite.toml"]);
    let output =
        shell.args(["--rounds", "4", "--seed", "5"]).current_dir(bench.folder.path()).output();
    let output = output.expect("the command can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("record.jsonl") && said.contains("free space"), "{said}");
    let before = bench.all_records();
    assert!((1..8).contains(&before.len()), "{} of 8", before.len());
    let dir = bench.run_dir();
    let output = bench.bench(&["--resume", dir.to_str().expect("it is text")]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(bench.all_records()[..before.len()], before);
    assert_eq!(bench.records().len(), 8);
}

#[test]
fn servers_that_die_or_find_their_port_in_use_are_failed_rows_and_the_others_are_measured() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let c10k = env!("CARGO_BIN_EXE_c10k");
    let bench = Bench::new(&format!(
        r#"
        models = ["epoll"]
        [[subject]]
        name = "dies"
        command = "sh -c '{c10k} serve epoll --addr 127.0.0.1:$0 & sleep 0.2; kill -KILL $!; exit 7' {{port}}"
        [[subject]]
        name = "finds-it-taken"
        command = "sh -c 'exec {c10k} serve epoll --addr {}' {{port}}"
        [[workload]]
        connections = 4
        "#,
        taken.local_addr().expect("it has one")
    ));
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let records = bench.records();
    assert!(
        of(&records, "epoll")["metrics"]["throughput_rps"].as_f64().is_some_and(|rate| rate > 0.0)
    );
    let failed = |subject| of(&records, subject)["outcome"]["failed"].as_str().unwrap_or_default();
    assert!(failed("finds-it-taken").contains("cannot listen on"), "{records:#?}");
    assert!(!failed("dies").is_empty() || of(&records, "dies")["valid"] == false, "{records:#?}");
}

#[test]
fn a_server_that_holds_no_rate_is_a_failed_row_with_its_reason() {
    let bench = Bench::new(
        r#"
        models = ["epoll"]
        [[workload]]
        slo = "p90 < 5ms"
        path = "/sleep/20000"
        [quick]
        rounds = 1
        warmup = "10ms"
        duration = "100ms"
        "#,
    );
    let output = bench.run(&["--quick"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let records = bench.records();
    let error = of(&records, "epoll")["outcome"]["failed"].as_str().expect("it failed");
    assert!(error.contains("`p90 < 5ms` at no rate"), "{error}");
}

#[test]
fn a_claim_about_an_unknown_cell_is_refused() {
    let table = |predicate: &str| {
        format!(
            "models = [\"epoll\"]\n[claim]\nsays = \"x\"\nsource = \"x\"\n[[claim.predicate]]\n{predicate}\n[[workload]]\n"
        )
    };
    for (predicate, expected) in [
        (
            "metric = \"throughput\"\nof = { subject = \"epoll\" }\nabove = 1",
            "did you mean `throughput_rps`",
        ),
        ("metric = \"throughput_rps\"\nof = { subject = \"poll\" }\nabove = 1", "means 0"),
        (
            "metric = \"throughput_rps\"\nof = { subject = \"epoll\" }",
            "neither `above` nor `below`",
        ),
    ] {
        let output = Bench::new(&table(predicate)).run(&[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected) && said.lines().count() == 1, "{expected}: {said}");
    }
}

#[test]
fn other_subjects_are_measured_on_request() {
    let bench = Bench::new(SIX);
    let output = bench.run(&["--subjects", "epoll-edge,epoll", "--list"]);
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(listed, "epoll-edge/persistent-4\nepoll/persistent-4\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("2 cells, about ") && said.lines().count() == 1, "{said}");
    let output = bench.run(&["--subjects", "epol"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `epoll`"), "{output:?}");
}
