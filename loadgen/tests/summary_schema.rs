//! The output of a real run is valid according to `summary.schema.json`, by a validator that knows
//! nothing of this crate.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use c10k_loadgen::workload::{Arrivals, Pacing, Until};
use c10k_loadgen::{Summary, Target, Workload};
use jsonschema::Validator;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../summary.schema.json");

/// Starts a server that answers every request with `ok`, for as long as the test lasts.
fn respond() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || answer(connection));
        }
    });
    address
}

/// Answers requests, which come one by one and fit into one read.
fn answer(mut connection: TcpStream) {
    let mut request = [0; 4096];
    while connection.read(&mut request).is_ok_and(|read| read > 0) {
        if connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

fn measure(pacing: Pacing) -> Summary {
    let target = Target::resolve(&format!("http://{}/", respond())).unwrap();
    let until = Until::Elapsed(Duration::from_millis(200));
    let workload = Workload {
        pacing,
        connections: 2,
        warmup: Duration::ZERO,
        idle: 1,
        ..Workload::lasting(until)
    };
    let run = c10k_loadgen::start(target, workload, Arc::new(AtomicBool::new(false))).unwrap();
    Summary::from(&run.finish().unwrap())
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&serde_json::from_str(SCHEMA).unwrap()).unwrap()
}

fn complaints(json: &Value) -> Vec<String> {
    validator()
        .iter_errors(json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn the_output_of_a_run_is_valid_and_is_read_again() {
    let open = Pacing::Open {
        rate: 500.0,
        arrivals: Arrivals::Poisson,
        seed: 1,
        spin: Duration::from_micros(100),
    };
    for pacing in [Pacing::Closed, open] {
        let summary = measure(pacing);
        assert!(summary.requests.completed > 0, "{summary:#?}");
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(complaints(&json), Vec::<String>::new(), "{json:#}");
        assert_eq!(Summary::read(&json.to_string()).unwrap(), summary);
    }
}

#[test]
fn the_schema_refuses_missing_keys_other_types_and_other_versions() {
    let good = serde_json::to_value(measure(Pacing::Closed)).unwrap();
    for (key, value) in [
        ("version", json!(2)),
        ("throughput_rps", Value::Null),
        ("checks", json!([{ "name": "errors", "verdict": "perhaps", "detail": "" }])),
        ("valid", json!("yes")),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert_eq!(complaints(&bad).len(), 1, "{key}: {:?}", complaints(&bad));
        bad.as_object_mut().unwrap().remove(key);
        assert_eq!(complaints(&bad).len(), 1, "without {key}");
    }
}

#[test]
fn the_schema_lets_keys_be_added() {
    let mut json = serde_json::to_value(measure(Pacing::Closed)).unwrap();
    json["of_tomorrow"] = json!({ "count": 1 });
    json["latency_us"]["p99.999"] = json!(1.5);
    assert_eq!(complaints(&json), Vec::<String>::new());
}
