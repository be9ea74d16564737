//! `c10k worker` with a real master of Locust, and the locustfile that merges its results.
//!
//! `PYTHON` names an interpreter with the packages `locust` and `hdrhistogram`; without them, these
//! tests are skipped. All processes are on this machine, and talk over loopback.

#[path = "../support/refusal.rs"]
mod refusal;
mod server;
mod support;
#[path = "../support/wait.rs"]
mod wait;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use c10k_loadgen::summary::{Percentiles, Summary};
use c10k_loadgen::{empty_times, measurement::Times};
use hdrhistogram::serialization::Deserializer;
use serde_json::Value;

use self::server::Server;
use self::support::{LOCUSTFILE, Master, Worker, free_port, python};

/// Returns the sum of all lines of a log with this tag: all samples in one histogram.
fn all_samples(log: &str, tag: &str) -> Times {
    let mut sum = empty_times();
    for line in log.lines().filter(|line| line.starts_with(&format!("Tag={tag},"))) {
        let histogram = STANDARD.decode(line.rsplit(',').next().unwrap()).unwrap();
        sum.add(Deserializer::new().deserialize::<u64, _>(&mut &histogram[..]).unwrap()).unwrap();
    }
    sum
}

/// Returns a check of the merged result.
fn check<'a>(result: &'a Value, name: &str) -> &'a Value {
    let checks = result["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name);
    check.unwrap_or_else(|| panic!("no check {name}: {checks:?}"))
}

fn verdict<'a>(result: &'a Value, name: &str) -> &'a str {
    check(result, name)["verdict"].as_str().unwrap()
}

/// Returns the completed requests of each load of each worker.
fn completed_by_load(result: &Value) -> Vec<u64> {
    let of = |load: &Value| load["requests"]["completed"].as_u64().unwrap();
    result["workers"].as_array().unwrap().iter().map(of).collect()
}

/// Checks that the server, the workers, Locust's statistics and the merged result have the same
/// number of requests.
#[track_caller]
fn assert_counted_alike(server: &Server, result: &Value, statistics: &Value) {
    let completed = result["requests"]["completed"].as_u64().unwrap();
    let of_locust = |key: &str| statistics[0][key].as_u64().unwrap();
    assert_eq!(completed, server.requests(), "the server's count: {}", result["requests"]);
    assert_eq!(completed, completed_by_load(result).iter().sum::<u64>(), "the workers' counts");
    assert_eq!(completed, of_locust("num_requests") - of_locust("num_failures"), "Locust's count");
    for name in ["reports", "versions"] {
        assert_eq!(verdict(result, name), "pass", "{}", result["checks"]);
    }
}

#[test]
fn all_count_the_same_requests_and_merged_percentiles_are_those_of_all_samples() {
    let Some(python) = python() else { return };
    let server = Server::start(Duration::from_millis(1));
    let master = Master::start(&python, &server.url(), 3, &["--run-time=1s"]);
    let workers =
        [1, 1, 2].map(|threads| Worker::start(master.port, &[&format!("--threads={threads}")]));
    let (result, statistics, log, status) = master.finish();
    for worker in workers {
        worker.assert_done();
    }
    assert_counted_alike(&server, &result, &statistics);
    assert_eq!((completed_by_load(&result).len(), verdict(&result, "workers")), (3, "pass"));
    assert_eq!(result["connections"]["served"], 6);
    // Other programs may have taken the processors of this machine.
    assert_eq!(status, i32::from(result["valid"] == false), "{}", result["checks"]);

    let summary = Summary::read(&result.to_string()).unwrap();
    for (tag, merged) in [("latency", summary.latency_us), ("first_byte", summary.first_byte_us)] {
        let of_all = Percentiles::of(&all_samples(&log, tag));
        assert!((merged.mean / of_all.mean - 1.0).abs() < 1e-9, "{merged:?} and {of_all:?}");
        let merged = Percentiles { mean: of_all.mean, ..merged };
        assert_eq!(merged, of_all, "{tag}");
    }
    assert_eq!(result["generator"]["threads"], 4);
    assert_eq!(result["generator"]["workers"].as_object().unwrap().len(), 3);
}

#[test]
fn a_rate_is_split_among_workers() {
    let Some(python) = python() else { return };
    let server = Server::start(Duration::ZERO);
    let options = ["--run-time=1s", "--rate=600", "--lifetime=persistent"];
    let master = Master::start(&python, &server.url(), 2, &options);
    let workers = [(), ()].map(|()| Worker::start(master.port, &[]));
    let (result, ..) = master.finish();
    for worker in workers {
        worker.assert_done();
    }
    assert_eq!(
        (result["loop"].as_str(), result["offered_rps"].as_f64()),
        (Some("open"), Some(600.0))
    );
    let due = result["duration_s"].as_f64().unwrap() * 600.0;
    let intended = result["requests"]["intended"].as_u64().unwrap() as f64;
    // Workers begin and end at slightly different times, each with half of the rate.
    assert!((intended - due).abs() < due / 10.0, "{intended} of {due}");
    assert_eq!(result["requests"]["completed"], result["requests"]["intended"]);
}

#[test]
fn a_late_worker_takes_its_share_and_no_request_is_lost_or_counted_twice() {
    let Some(python) = python() else { return };
    let server = Server::start(Duration::from_millis(20));
    let master = Master::start(&python, &server.url(), 1, &["--run-time=3s"]);
    let first = Worker::start(master.port, &[]);
    wait::until("the first worker sends", || server.requests() > 20);
    let late = Worker::start(master.port, &[]);
    let (result, statistics, ..) = master.finish();
    first.assert_done();
    late.assert_done();
    assert_counted_alike(&server, &result, &statistics);
    assert_eq!(
        completed_by_load(&result).len(),
        3,
        "two loads of the first worker and one of the late"
    );
    assert_eq!(verdict(&result, "workers"), "pass");
    assert_eq!(result["connections"]["requested"], 6);
}

#[test]
fn a_worker_that_is_killed_makes_the_test_fail_and_one_that_is_asked_to_end_does_not() {
    let Some(python) = python() else { return };
    let server = Server::start(Duration::from_millis(5));
    let master = Master::start(&python, &server.url(), 3, &["--run-time=2s"]);
    let [killed, asked, stays] = [(), (), ()].map(|()| Worker::start(master.port, &[]));
    wait::until("the workers send", || server.requests() > 100);
    killed.kill();
    assert_eq!(asked.interrupt(), 130);
    let (result, _, _, status) = master.finish();
    stays.assert_done();
    assert_eq!((status, verdict(&result, "workers")), (1, "fail"));
    let detail = check(&result, "workers")["detail"].as_str().unwrap();
    let (lost, _) = detail.split_once(" was lost before the end").expect(detail);
    assert!(!lost.contains(", "), "{lost}");
}

#[test]
fn a_worker_serves_the_master_that_follows_one_that_died() {
    let Some(python) = python() else { return };
    let server = Server::start(Duration::from_millis(1));
    let first = Master::start(&python, &server.url(), 1, &["--run-time=1m"]);
    let port = first.port;
    let worker = Worker::start(port, &[]);
    wait::until("the worker sends", || server.requests() > 100);
    first.kill();
    let second = Master::start_at(port, &python, &server.url(), 1, &["--run-time=1s"]);
    let (result, ..) = second.finish();
    worker.assert_done();
    let loads = completed_by_load(&result);
    assert!(loads.len() == 1 && loads[0] > 0, "{loads:?}");
    assert_eq!(verdict(&result, "workers"), "pass");
}

#[test]
fn a_bench_measures_with_workers_that_stay_for_its_masters() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let locust = format!("{} -B -m locust --master-bind-port={port}", python.0);
    let suite = format!(
        "name = 'far'\npurpose = 'A test.'\nrounds = 2\nwarmup = '0s'\nduration = '1s'\n\
         timeout = '2s'\n\
         models = ['epoll']\n[generator]\nlocust = \"{locust}\"\nworkers = 1\nhost = '127.0.0.1'\n\
         [[workload]]\nconnections = 4\n"
    );
    fs::write(folder.path().join("suite.toml"), suite).unwrap();
    let worker = Worker::start(port, &["--stay"]);
    let bench =
        support::c10k().args(["bench", "suite.toml"]).current_dir(&folder).output().unwrap();
    assert_eq!(worker.interrupt(), 130);
    assert!(bench.status.success(), "{bench:?}");
    let run =
        fs::read_dir(folder.path().join("reports/runs")).unwrap().next().unwrap().unwrap().path();
    let records = fs::read_to_string(run.join("record.jsonl")).unwrap();
    let measured = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let measured = measured.filter(|record| record["superseded"] != true).collect::<Vec<_>>();
    assert_eq!(measured.len(), 2);
    for record in measured {
        let summary = Summary::read(&record["outcome"]["measured"].to_string()).unwrap();
        let log = fs::read_to_string(run.join(record["histograms"].as_str().unwrap())).unwrap();
        assert_eq!(summary.latency_us.count, all_samples(&log, "latency").len());
    }
}

#[test]
fn a_host_that_is_wrong_ends_the_workers_and_the_test() {
    let Some(python) = python() else { return };
    let url = format!("http://127.0.0.1:{}/", free_port());
    let master = Master::start(&python, &url, 1, &["--run-time=20s"]);
    let line = Worker::start(master.port, &[]).refusal();
    assert!(line.contains(&format!("cannot connect to {url}")), "{line}");
    assert_eq!(master.finish().3, 1);
}

#[test]
fn a_locustfile_without_the_part_of_c10k_is_refused() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plain.py");
    fs::write(
        &file,
        "from locust import User, task\nclass Plain(User):\n    @task\n    def t(self): pass\n",
    )
    .unwrap();
    let master = Master::start_plain(&python, &file);
    let line = Worker::start(master.port, &[]).refusal();
    assert!(line.contains("lacks c10k's part"), "{line}");
}

#[test]
fn the_locustfile_refuses_a_locust_that_is_no_master() {
    let Some(python) = python() else { return };
    let alone = python.locust().args(["-f", LOCUSTFILE, "--headless"]).output().unwrap();
    let said = String::from_utf8_lossy(&alone.stderr);
    assert!(!alone.status.success() && said.contains("give Locust --master"), "{said}");
}

#[test]
fn a_master_that_is_not_there_is_waited_for_and_then_named() {
    let port = free_port();
    let line = Worker::start(port, &["--wait=1s"]).refusal();
    assert!(line.contains(&format!("no master at 127.0.0.1:{port} within 1s")), "{line}");
}

#[test]
fn what_is_no_master_is_told_from_one_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let _ = client
                .write_all(&b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".repeat(4));
        }
    });
    let line = Worker::start(port, &["--wait=1s"]).refusal();
    assert!(line.contains("does not speak ZeroMQ"), "{line}");
}

#[test]
fn addresses_that_are_none_are_refused() {
    for master in ["", "host", "host:", ":5557", "host:0", "host:65536", "tcp://host:5557"] {
        let line = Worker::refused(&["--master", master]);
        assert!(line.contains("write HOST:PORT"), "{master}: {line}");
    }
}

#[test]
fn the_locustfile_is_where_messages_say() {
    assert!(Path::new(LOCUSTFILE).is_file());
}
