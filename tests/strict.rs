//! `c10k load --strict`: the exit status is 1 for a measurement that fails a check, and 0 for one
//! that fails none.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread;

/// Measures, for a moment, a server that answers with the given status line and with `200 OK` in
/// turns.
fn load(status: &'static str, arguments: &[&str]) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        for status in [status, "200 OK"].into_iter().cycle() {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            if !connection.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                return;
            }
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
    command.args(["load", &url, "--connections", "1", "--warmup", "0s", "--duration", "500ms"]);
    command.args(arguments).output().unwrap()
}

#[test]
fn a_measurement_that_fails_a_check_is_status_1_under_strict_and_0_without() {
    let strict = load("404 Not Found", &["--strict", "--json"]);
    assert_eq!(strict.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&strict.stdout).unwrap();
    assert_eq!(json["valid"], false, "{json:#}");
    let lenient = load("404 Not Found", &[]);
    assert_eq!(lenient.status.code(), Some(0));
    let text = String::from_utf8(lenient.stdout).unwrap();
    assert!(text.contains("FAILED   errors: 50 % of requests"), "{text}");
}

/// Checks that other tests can make fail, because they use the machine at the same time.
const OF_THE_MACHINE: [&str; 3] = ["generator-cpu-wait", "silence", "steady-state"];

#[test]
fn a_good_measurement_is_status_0_under_strict() {
    let output = load("200 OK", &["--strict", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = json["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| check["verdict"] == "fail").collect();
    let is_of_the_machine = |check: &str| OF_THE_MACHINE.contains(&check);
    assert!(
        failed.iter().all(|check| check["name"].as_str().is_some_and(is_of_the_machine)),
        "{json:#}"
    );
    assert_eq!(json["valid"], failed.is_empty(), "{json:#}");
    assert_eq!(output.status.code(), Some(i32::from(!failed.is_empty())), "{json:#}");
}
