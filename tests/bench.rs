//! `c10k bench`: what it measured and what speaks against it, in the record, on the page, and in the exit status.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

#[path = "support/quota.rs"]
mod quota;

use quota::Quota;

/// Runs `c10k bench` on a suite with these tables, in a folder of its own.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(tables: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let head = "name = \"test\"\npurpose = \"A test.\"\nrounds = 1\nwarmup = \"50ms\"\nduration = \"300ms\"\n\
                    timeout = \"2s\"\n";
        fs::write(folder.path().join("suite.toml"), format!("{head}{tables}"))
            .expect("a file can be written");
        Self { folder }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the command can be run")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
        command.current_dir(self.folder.path()).args(["bench", "suite.toml"]).args(arguments);
        command
    }

    /// The folder of the only run.
    fn run_dir(&self) -> PathBuf {
        let runs = fs::read_dir(self.folder.path().join("reports/runs")).expect("there are runs");
        let dirs: Vec<PathBuf> = runs.map(|entry| entry.expect("it can be read").path()).collect();
        assert_eq!(dirs.len(), 1, "{dirs:?}");
        dirs[0].clone()
    }

    fn records(&self) -> Vec<Value> {
        let text = read(&self.run_dir().join("record.jsonl"));
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    fn page(&self) -> String {
        read(&self.run_dir().join("index.html"))
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn of<'a>(records: &'a [Value], subject: &str) -> &'a Value {
    records.iter().find(|record| record["cell"]["subject"] == subject).expect("the subject has a record")
}

/// A pool of 2 for 8 connections, a rate that a blocked server cannot keep up with, a server that ends at once, and one
/// that is well.
const TROUBLED: &str = r#"
[[subject]]
model = "thread-pool"
name = "starved"
workers = 2
[[subject]]
model = "epoll"
name = "overloaded"
[[subject]]
name = "dead"
command = "sh -c 'echo out of luck >&2; exit 3' {port}"
[[subject]]
model = "epoll"
name = "well"
[[workload]]
subjects = ["starved", "dead", "well"]
connections = 8
[[workload]]
subjects = ["overloaded"]
connections = 8
rate = 2000
path = "/sleep/5000"
"#;

#[test]
fn a_starved_cell_a_failed_check_and_a_dead_server_are_told_in_words_and_under_strict() {
    let bench = Bench::new(TROUBLED);
    let output = bench.run(&["--strict", "--seed", "1"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let records = bench.records();
    assert_eq!(of(&records, "starved")["valid"], false);
    assert_eq!(of(&records, "overloaded")["valid"], false);
    for check in of(&records, "well")["checks"].as_array().expect("checks are a list") {
        // What depends on how much time the machine has is not told from so short a measurement.
        if ["errors", "starvation"].contains(&check["name"].as_str().expect("a check has a name")) {
            assert_eq!(check["verdict"], "pass", "{check}");
        }
    }
    let error = of(&records, "dead")["outcome"]["failed"].as_str().expect("it failed");
    assert!(error.contains("out of luck"), "{error}");
    for words in ["8 asked, 6 never served", "out of luck", "NOT VALID"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let page = bench.page();
    for words in ["8 asked, 6 never served", "out of luck", "offered-rate"] {
        assert!(page.contains(words), "{words:?} is not on the page");
    }
}

#[test]
fn verdicts_are_no_failure_without_strict() {
    let bench = Bench::new(TROUBLED);
    let output = bench.run(&["--filter", "^starved/"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("did not pass"), "{output:?}");
}

#[test]
fn a_measurement_that_did_not_run_to_its_end_is_a_failure_at_any_rate() {
    let bench = Bench::new(TROUBLED);
    let output = bench.run(&["--filter", "^(dead|well)/"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(bench.records().len(), 2);
}

#[test]
fn a_line_of_the_record_is_understood_without_any_other() {
    let bench = Bench::new("models = [\"prefork\"]\n[[workload]]\nconnections = [1, 4]\nidle = 3\n");
    assert_eq!(bench.run(&["--filter", "connections=4"]).status.code(), Some(0));
    let records = bench.records();
    let [record] = records.as_slice() else { panic!("one cell was meant: {records:#?}") };
    assert_eq!(record["parameters"]["connections"], 4);
    assert_eq!(record["parameters"]["idle"], 3);
    assert_eq!(record["parameters"]["path"], "/");
    // A pool has a worker for each connection of its own workload, the idle ones included.
    let command = record["command"].as_str().expect("the command is told");
    assert!(command.ends_with("--workers 7"), "{command}");
    for key in ["throughput_rps", "server_cpu_us_per_request", "memory_pss_bytes", "latency_max_us"] {
        assert!(record["metrics"][key].as_f64().is_some_and(|value| value > 0.0), "{key} in {record:#}");
    }
    assert!(!record["checks"].as_array().expect("checks are a list").is_empty());
    let environment: Value =
        serde_json::from_str(&read(&bench.run_dir().join("environment.json"))).expect("it is JSON");
    let axes = environment["axes"].as_array().expect("axes are a list");
    let connections = axes.iter().find(|axis| axis["key"] == "connections").expect("it is an axis");
    assert_eq!(connections["scale"], "log");
}

#[test]
fn two_paths_three_rates_and_two_idle_counts_are_told_apart_and_drawn() {
    let bench = Bench::new(
        "models = [\"epoll\"]\n[[workload]]\ntitle = \"Rates?\"\nconnections = 4\nrate = [200, 400, 800]\n\
         path = [\"/\", \"/bytes/10000\"]\nidle = [0, 5]\n",
    );
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let records = bench.records();
    let mut workloads: Vec<&str> =
        records.iter().map(|record| record["cell"]["workload"].as_str().expect("it has a name")).collect();
    workloads.sort_unstable();
    workloads.dedup();
    assert_eq!(workloads.len(), 12);
    let page = bench.page();
    for words in ["Rates?", "offered load", "/bytes/10000"] {
        assert!(page.contains(words), "{words:?} is not on the page");
    }
}

#[test]
fn a_list_as_json_tells_cells_and_the_estimated_time() {
    let bench = Bench::new("models = [\"epoll\", \"poll\"]\n[[workload]]\nconnections = [1, 2]\n");
    let output = bench.run(&["--list", "--json", "--filter", "connections=2"]);
    let list: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON and nothing else");
    assert_eq!(list["suite"], "test");
    assert!(list["estimated_s"].as_f64().is_some_and(|estimate| estimate > 0.6), "{list}");
    let cells = list["cells"].as_array().expect("cells are a list");
    assert_eq!(cells.len(), 2);
    assert_eq!(cells[0]["subject"], "epoll");
    assert_eq!(cells[0]["parameters"]["connections"], 2);
    assert!(!bench.folder.path().join("reports").exists());
}

#[test]
fn a_list_is_one_object_for_one_suite_however_few_cells_match() {
    let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\n");
    let output = bench.run(&["--list", "--json", "--filter", "no-such-cell"]);
    let list: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert_eq!(list["cells"].as_array().map(Vec::len), Some(0), "{list}");
}

#[test]
fn cells_that_this_machine_has_too_little_for_are_left_out_and_the_others_measured() {
    let bench = Bench::new(
        "models = [\"epoll\"]\n[[workload]]\nconnections = [2, 1000000]\n[[workload]]\nconnections = 3\n\
         processors = 4000\n",
    );
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in ["1000000 is left out", "ulimit -Hn", "4000 processors"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    assert_eq!(bench.records().len(), 1);
}

#[test]
fn memory_per_connection_is_told_from_a_server_with_one() {
    let bench = Bench::new(
        "models = [\"epoll\", \"prefork\"]\n[[workload]]\npasses = [\"one_connection\"]\nconnections = 1\nidle = 20\n",
    );
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let records = bench.records();
    let per_connection = |subject| {
        of(&records, subject)["metrics"]["memory_per_connection_bytes"].as_f64().expect("it is told")
    };
    assert!(per_connection("prefork") > 5.0 * per_connection("epoll").max(1.0), "{records:#?}");
}

#[test]
fn a_server_from_the_command_line_is_measured_beside_the_suite() {
    let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\nconnections = 2\n");
    let server = format!("mine={} serve poll --addr 127.0.0.1:{{port}}", env!("CARGO_BIN_EXE_c10k"));
    let output = bench.run(&["--server", &server, "--filter", "^mine/"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(of(&bench.records(), "mine")["metrics"]["throughput_rps"].as_f64().is_some());
}

#[test]
fn what_is_not_installed_is_left_out_and_named() {
    let bench = Bench::new(
        "models = [\"epoll\"]\n[[subject]]\nname = \"absent\"\ncommand = \"no-such-program-anywhere {port}\"\n\
         [[workload]]\nconnections = 2\n",
    );
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("absent is left out"), "{output:?}");
    assert!(bench.page().contains("no-such-program-anywhere"));
}

/// A server that never sleeps takes more than this quota on however busy a machine.
#[test]
fn a_quota_is_in_the_record_and_on_the_page_and_fails_what_it_held_back() {
    let Some(quota) = Quota::of(30_000) else { return };
    let bench = Bench::new("models = [\"busy-poll\"]\n[[workload]]\nconnections = 8\n");
    let output = quota.run(&bench.command(&[])).output().expect("the command can be run");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let environment = read(&bench.run_dir().join("environment.json"));
    let environment: Value = serde_json::from_str(&environment).expect("it is JSON");
    assert_eq!(environment["quota_cpus"], 0.3);
    let records = bench.records();
    let record = of(&records, "busy-poll");
    for key in ["server_throttled_s", "generator_throttled_s"] {
        assert!(record["metrics"][key].as_f64().is_some_and(|value| value > 0.0), "{key} in {record:#}");
    }
    assert_eq!(record["valid"], false, "{record:#}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let page = bench.page();
    for words in ["the CPU quota of 0.3 processors", "the CPU quota of its cgroup"] {
        assert!(
            said.contains(words) && page.contains(words),
            "{words:?} is not in {said}, or not on the page"
        );
    }
    for words in ["0.3 processors, server and load generator together", "Generator held by a CPU quota"] {
        assert!(page.contains(words), "{words:?} is not on the page");
    }
}
