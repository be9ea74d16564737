//! Results of `c10k bench`, and the complaints of checks about them, in the record, on the page,
//! and in the exit status.

#[path = "support/bench.rs"]
mod bench;
#[path = "support/refusal.rs"]
mod refusal;
#[path = "support/wait.rs"]
mod wait;

use std::fs;
use std::io::{BufRead, BufReader};

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

#[path = "support/quota.rs"]
mod quota;

use bench::{Bench, of, read};
use quota::Quota;

/// Suite with a pool of 2 workers for 8 connections, a rate that a blocked server cannot keep up
/// with, a server that ends at once, and a server without a problem.
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
fn a_starved_cell_a_failed_check_and_a_dead_server_are_described_and_fail_strict() {
    let bench = Bench::new(TROUBLED);
    let output = bench.run(&["--strict", "--seed", "1"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let records = bench.records();
    assert_eq!(of(&records, "starved")["valid"], false);
    assert_eq!(of(&records, "overloaded")["valid"], false);
    for check in of(&records, "well")["checks"].as_array().expect("checks are a list") {
        // Checks that depend on the processor time of the machine are not reliable in so short a
        // measurement.
        if ["errors", "starvation"].contains(&check["name"].as_str().expect("a check has a name")) {
            assert_eq!(check["verdict"], "pass", "{check}");
        }
    }
    let error = of(&records, "dead")["outcome"]["failed"].as_str().expect("it failed");
    assert!(error.contains("out of luck"), "{error}");
    for words in ["8 requested, 6 never served", "out of luck", "NOT VALID"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    let page = bench.page();
    for words in ["8 requested, 6 never served", "out of luck", "offered-rate"] {
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
    let bench =
        Bench::new("models = [\"prefork\"]\n[[workload]]\nconnections = [1, 4]\nidle = 3\n");
    assert_eq!(bench.run(&["--filter", "connections=4"]).status.code(), Some(0));
    let records = bench.records();
    let [record] = records.as_slice() else { panic!("one cell was meant: {records:#?}") };
    assert_eq!(record["parameters"]["connections"], 4);
    assert_eq!(record["parameters"]["idle"], 3);
    assert_eq!(record["parameters"]["path"], "/");
    // A pool has a worker for each connection of its own workload, the idle ones included.
    let command = record["command"].as_str().expect("the command is told");
    assert!(command.ends_with("--workers 7"), "{command}");
    for key in ["throughput_rps", "server_cpu_us_per_request", "memory_pss_bytes", "latency_max_us"]
    {
        assert!(
            record["metrics"][key].as_f64().is_some_and(|value| value > 0.0),
            "{key} in {record:#}"
        );
    }
    assert!(!record["checks"].as_array().expect("checks are a list").is_empty());
    let environment: Value =
        serde_json::from_str(&read(&bench.run_dir().join("environment.json"))).expect("it is JSON");
    let axes = environment["axes"].as_array().expect("axes are a list");
    let connections = axes.iter().find(|axis| axis["key"] == "connections").expect("it is an axis");
    assert_eq!(connections["scale"], "log");
}

#[test]
fn two_paths_three_rates_and_two_idle_counts_are_distinguished_and_drawn() {
    let bench = Bench::new(
        "models = [\"epoll\"]\n[[workload]]\ntitle = \"Rates?\"\nconnections = 4\nrate = [200, 400, 800]\n\
         path = [\"/\", \"/bytes/10000\"]\nidle = [0, 5]\n",
    );
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let records = bench.records();
    let mut workloads: Vec<&str> = records
        .iter()
        .map(|record| record["cell"]["workload"].as_str().expect("it has a name"))
        .collect();
    workloads.sort_unstable();
    workloads.dedup();
    assert_eq!(workloads.len(), 12);
    let page = bench.page();
    for words in ["Rates?", "offered load", "/bytes/10000"] {
        assert!(page.contains(words), "{words:?} is not on the page");
    }
}

#[test]
fn a_list_as_json_has_cells_and_the_estimated_time() {
    let bench = Bench::new("models = [\"epoll\", \"poll\"]\n[[workload]]\nconnections = [1, 2]\n");
    let output = bench.run(&["--list", "--json", "--filter", "connections=2"]);
    let list: Value =
        serde_json::from_slice(&output.stdout).expect("it prints JSON and nothing else");
    assert_eq!(list["suite"], "test");
    assert!(list["estimated_s"].as_f64().is_some_and(|estimate| estimate > 0.6), "{list}");
    let cells = list["cells"].as_array().expect("cells are a list");
    assert_eq!(cells.len(), 2);
    assert_eq!(cells[0]["subject"], "epoll");
    assert_eq!(cells[0]["parameters"]["connections"], 2);
    assert!(!bench.folder.path().join("reports").exists());
}

#[test]
fn a_list_is_one_object_for_one_suite_even_if_few_cells_match() {
    let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\n");
    let output = bench.run(&["--list", "--json", "--filter", "no-such-cell"]);
    let list: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert_eq!(list["cells"].as_array().map(Vec::len), Some(0), "{list}");
}

#[test]
fn cells_that_this_machine_is_too_small_for_are_left_out_and_the_others_measured() {
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
fn memory_per_connection_is_computed_from_a_server_with_one() {
    let bench = Bench::new(
        "models = [\"epoll\", \"prefork\"]\n[[workload]]\npasses = [\"one_connection\"]\nconnections = 1\nidle = 20\n",
    );
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let records = bench.records();
    let per_connection = |subject| {
        of(&records, subject)["metrics"]["memory_per_connection_bytes"]
            .as_f64()
            .expect("it is told")
    };
    assert!(per_connection("prefork") > 5.0 * per_connection("epoll").max(1.0), "{records:#?}");
}

#[test]
fn a_server_from_the_command_line_is_measured_beside_the_suite() {
    let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\nconnections = 2\n");
    let server =
        format!("mine={} serve poll --addr 127.0.0.1:{{port}}", env!("CARGO_BIN_EXE_c10k"));
    let output = bench.run(&["--server", &server, "--filter", "^mine/"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(of(&bench.records(), "mine")["metrics"]["throughput_rps"].as_f64().is_some());
}

#[test]
fn a_server_from_the_command_line_takes_part_in_every_table_and_can_be_chosen_by_name() {
    let bench = Bench::new(
        "models = [\"epoll\", \"poll\"]\n[[workload]]\nsubjects = [\"epoll\"]\nconnections = 2\n",
    );
    let server =
        format!("mine={} serve poll --addr 127.0.0.1:{{port}}", env!("CARGO_BIN_EXE_c10k"));
    for (chosen, cells) in
        [(&[][..], 2), (&["--subjects", "mine,epoll"][..], 2), (&["--subjects", "mine"][..], 1)]
    {
        let output =
            bench.bench(&[&["suite.toml", "--list", "--server", &server][..], chosen].concat());
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(listed.lines().count(), cells, "{output:?}");
        assert!(listed.contains("mine/"), "{output:?}");
    }
}

#[test]
fn a_number_of_workers_that_would_be_ignored_beside_a_pool_is_refused() {
    let bench = Bench::new(
        "[[subject]]\nmodel = \"epoll-workers\"\nworkers = 8\n[[workload]]\nconnections = 2\n",
    );
    let line = refusal::line_of(bench.bench(&["suite.toml", "--list"]));
    assert!(line.contains("epoll-workers") && line.contains("handler_threads"), "{line}");
}

#[test]
fn a_server_that_is_not_installed_is_left_out_and_named() {
    let bench = Bench::new(
        "models = [\"epoll\"]\n[[subject]]\nname = \"absent\"\ncommand = \"no-such-program-anywhere {port}\"\n\
         [[workload]]\nconnections = 2\n",
    );
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("absent is left out"), "{output:?}");
    assert!(bench.page().contains("no-such-program-anywhere"));
}

#[test]
fn a_model_without_handler_threads_is_left_out_where_their_number_is_set() {
    let bench = Bench::new(
        "models = [\"epoll\", \"epoll-workers\"]\n[[workload]]\nconnections = 2\nhandler_threads = 3\n",
    );
    let output = bench.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the model epoll has no threads for handlers"), "{said}");
    let records = bench.records();
    let [record] = records.as_slice() else { panic!("one cell can be measured: {records:#?}") };
    assert_eq!(record["parameters"]["handler_threads"], 3);
    let command = record["command"].as_str().expect("the command is told");
    assert!(command.ends_with(" --handler-threads 3"), "{command}");
}

#[test]
fn a_full_disk_leaves_no_folder_of_a_run() {
    let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\nconnections = 2\n");
    let mut shell = Command::new("sh");
    // 25 is SIGXFSZ, which would end the command.
    shell.args(["-c", "trap '' 25; ulimit -f 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_c10k")]);
    let output = shell.current_dir(bench.folder.path()).args(["bench", "suite.toml"]).output();
    let line = refusal::line_of(output.expect("the command can be run"));
    assert!(line.contains("environment.json") && line.contains("free space"), "{line}");
    let runs = fs::read_dir(bench.folder.path().join("reports/runs")).expect("it was made");
    assert_eq!(runs.count(), 0);
}

#[test]
fn a_run_that_cannot_be_rendered_takes_nothing_from_the_others() {
    let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\nconnections = 2\n");
    bench.run(&[]);
    let good = bench.run_dir();
    let runs = bench.folder.path().join("reports/runs");
    for name in ["0-empty", "9-damaged"] {
        fs::create_dir(runs.join(name)).expect("a folder can be made");
    }
    fs::write(runs.join("9-damaged/environment.json"), "{").expect("a file can be written");
    for page in [good.join("index.html"), bench.folder.path().join("reports/index.html")] {
        fs::remove_file(page).expect("it was written");
    }
    let mut report = Command::new(env!("CARGO_BIN_EXE_c10k"));
    report.arg("report").args([
        &runs.join("0-empty"),
        &good,
        &runs.join("9-damaged"),
        &runs.join("absent"),
    ]);
    let output = report.output().expect("the command can be run");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{}\n", good.join("index.html").display())
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for (line, name) in said.lines().zip(["0-empty", "9-damaged", "absent"]) {
        assert!(line.starts_with("c10k: cannot ") && line.contains(name), "{said}");
    }
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(read(&good.join("index.html")).contains("epoll"));
    assert!(read(&bench.folder.path().join("reports/index.html")).contains("9-damaged"));
}

#[test]
fn the_program_that_began_a_run_is_measured_to_the_end_although_its_file_is_replaced() {
    let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\nconnections = 2\n");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be made");
    let c10k = folder.path().join("c10k");
    fs::hard_link(env!("CARGO_BIN_EXE_c10k"), &c10k).expect("it is on the same disk");
    let mut command = Command::new(&c10k);
    command.current_dir(bench.folder.path()).args(["bench", "suite.toml", "--rounds", "4"]);
    let running =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be run");
    let has_begun = || {
        let runs =
            fs::read_dir(bench.folder.path().join("reports/runs")).into_iter().flatten().flatten();
        runs.into_iter().any(|run| {
            fs::metadata(run.path().join("record.jsonl")).is_ok_and(|file| file.len() > 0)
        })
    };
    wait::until("a round was measured", has_begun);
    fs::remove_file(&c10k).expect("it is there");
    fs::copy("/bin/false", &c10k).expect("another can be put there");
    running.wait_with_output().expect("it ends");
    let records = bench.records();
    assert_eq!(records.len(), 4);
    for record in records {
        // A machine that is busy with other tests may complete nothing in so short a time.
        let failed = record["outcome"]["failed"].as_str().unwrap_or_default();
        assert!(!failed.contains("did not start"), "{record:#}");
        assert!(
            record["command"].as_str().is_some_and(|command| command.contains("c10k serve epoll"))
        );
    }
}

/// Runs a script after the command `mount` has changed `/proc`. Returns `None` where the machine
/// does not allow that.
fn with_other_proc(mount: &str, script: &str, bench: &Bench) -> Option<Output> {
    let unshared = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_c10k")]);
        command.current_dir(bench.folder.path()).output().ok()
    };
    if !unshared(mount).is_some_and(|output| output.status.success()) {
        eprintln!("left out: this machine does not let {mount:?} be done in a mount namespace");
        return None;
    }
    unshared(&format!("{mount} && {script}"))
}

#[test]
fn readings_that_a_proc_of_processes_alone_lacks_are_missing_and_not_0() {
    let mut bench = Bench::new("");
    let mut is_allowed = true;
    wait::until("something is measured", || {
        bench = Bench::new("models = [\"epoll\"]\n[[workload]]\nconnections = 2\n");
        let mount = "mount -t proc -o subset=pid proc /proc";
        let output = with_other_proc(mount, "exec \"$1\" bench suite.toml", &bench);
        is_allowed = output.is_some();
        output.is_none_or(|output| output.status.success())
    });
    if !is_allowed {
        return;
    }
    let environment: Value =
        serde_json::from_str(&read(&bench.run_dir().join("environment.json"))).expect("it is JSON");
    assert!(environment["machine"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    let record = &bench.records()[0];
    for (probe, key) in [("noise", "machine_steal_s"), ("softirq", "server_softirq_s")] {
        assert!(
            record["missing"][probe].as_str().is_some_and(|reason| reason.contains("/proc/")),
            "{record:#}"
        );
        assert!(record["readings"].get(key).is_none(), "{record:#}");
    }
    // A process shows the counters of its network namespace.
    assert!(record["readings"]["tcp_time_wait"].is_number(), "{record:#}");
    assert!(
        record["readings"]["memory_pss_bytes"].as_f64().is_some_and(|bytes| bytes > 0.0),
        "{record:#}"
    );
    assert!(!bench.page().contains("<dd>0 B</dd>"));
}

#[test]
fn without_proc_there_is_a_reason_in_place_of_a_number() {
    let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\nconnections = 2\n");
    let mount = "mount -t tmpfs none /proc";
    let Some(output) = with_other_proc(mount, "exec \"$1\" bench suite.toml", &bench) else {
        return;
    };
    assert!(refusal::line_of(output).contains("/proc"));
    let script = "\"$1\" serve epoll --addr 127.0.0.1:0 > address & server=$!
        until grep -q listening address; do sleep 0.05; done
        \"$1\" load http://$(sed 's/listening on //' address)/ --connections 2 --duration 200ms --warmup 0s --json
        status=$?; kill $server; wait; exit $status";
    let output = with_other_proc(mount, script, &bench).expect("it was allowed above");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert!(summary["throughput_rps"].as_f64().is_some_and(|rate| rate > 0.0), "{summary:#}");
    for unknown in ["/kernel", "/generator/cpu_wait_s"] {
        assert!(summary.pointer(unknown).is_none_or(Value::is_null), "{unknown} in {summary:#}");
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_a_server_that_does_not_start_and_for_one_that_does_not_end() {
    // The first server never listens; the second one serves and ignores SIGTERM.
    let deaf = format!(
        "sh -c \"trap '' TERM; {} serve poll --addr 127.0.0.1:{{port}} & while :; do sleep 1; done\"",
        env!("CARGO_BIN_EXE_c10k")
    );
    for (server, wait_ms) in [("mine=sleep 60 {port}", 300), (&*format!("mine={deaf}"), 1200)] {
        let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\nconnections = 2\n");
        let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
        command.current_dir(bench.folder.path()).args([
            "bench",
            "suite.toml",
            "--filter",
            "^mine/",
        ]);
        let mut child = command
            .args(["--server", server])
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is started");
        let mut line = String::new();
        let stderr = child.stderr.take().expect("it is piped");
        BufReader::new(stderr).read_line(&mut line).expect("it can be read");
        assert!(line.starts_with("measuring 1 times"), "{line}");
        // On most machines, this moment is within the wait; at any other moment, the command has to
        // end just as soon.
        std::thread::sleep(Duration::from_millis(wait_ms));
        let began = Instant::now();
        kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
        assert!(began.elapsed() < Duration::from_secs(8), "{server}: {:?}", began.elapsed());
    }
}

/// A server that never sleeps takes more than this quota even on a busy machine.
#[test]
fn a_quota_is_in_the_record_and_on_the_page_and_fails_measurements_that_it_held_back() {
    let Some(quota) = Quota::of(30_000) else { return };
    let mut held = None;
    wait::until("both are held back", || {
        held = bench_held_by(&quota);
        held.is_some()
    });
    let (bench, said) = held.expect("it was waited for");
    let environment = read(&bench.run_dir().join("environment.json"));
    let environment: Value = serde_json::from_str(&environment).expect("it is JSON");
    assert_eq!(environment["quota_cpus"], 0.3);
    assert_eq!(of(&bench.records(), "busy-poll")["valid"], false, "{said}");
    let page = bench.page();
    for words in
        HELD.into_iter().chain(["0.3 processors, for c10k and", "Generator held by a CPU quota"])
    {
        assert!(page.contains(words), "{words:?} is not on the page");
    }
}

/// The checks report that server and generator share the processor; other tests may take more of it
/// than these two do.
#[test]
fn on_one_processor_the_sharing_is_reported_once_and_makes_nothing_invalid() {
    let mut only = CpuSet::new();
    let available = sched_getaffinity(None).expect("the processors of this process can be read");
    only.set((0..CpuSet::MAX_CPU).rfind(|&cpu| available.is_set(cpu)).expect("it may use one"));
    // The command inherits the setting from this thread, which is this test's own.
    sched_setaffinity(None, &only).expect("a thread may leave out processors");
    let bench = Bench::new("models = [\"epoll\"]\n[[workload]]\nconnections = 8\n");
    let output = bench.run(&[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.matches("share the only processor").count(), 1, "{said}");
    assert!(!bench.page().contains("--pin"), "{said}");
    let records = bench.records();
    let checks = of(&records, "epoll")["checks"].as_array().into_iter().flatten();
    for check in checks.filter(|check| check["name"].as_str().unwrap_or("").ends_with("-cpu-wait"))
    {
        let detail = check["detail"].as_str().expect("it has words");
        assert!(
            check["verdict"] != "fail" || detail.contains("by other programs and"),
            "{check:#}"
        );
    }
}

/// Messages of both sides where a quota held them back.
const HELD: [&str; 2] = ["the CPU quota of 0.3 processors", "the CPU quota of its cgroup"];

/// Runs a bench under `quota`. Returns it with its standard error if both sides were held back for
/// long enough to be reported. On a busy machine, other processes may take the processor before the
/// quota does.
fn bench_held_by(quota: &Quota) -> Option<(Bench, String)> {
    let bench = Bench::new("models = [\"busy-poll\"]\n[[workload]]\nconnections = 8\n");
    let output = quota.run(&bench.command(&[])).output().expect("the command can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let records = bench.records();
    let record = of(&records, "busy-poll");
    let is_held = ["server_throttled_s", "generator_throttled_s"]
        .iter()
        .all(|key| record["metrics"][key].as_f64().is_some_and(|value| value > 0.0));
    (is_held && HELD.iter().all(|words| said.contains(words))).then_some((bench, said))
}
