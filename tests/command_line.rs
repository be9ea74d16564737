//! The command line: a mistake in it is reported in one line, with status 2, before anything is
//! done.

#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/refusal.rs"]
mod refusal;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use c10k::limits;
use c10k_servers::ROSTER;
use serde_json::Value;

fn c10k(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_c10k"))
        .args(arguments)
        .output()
        .expect("the command can be run")
}

/// Runs the command, which has to refuse its arguments, and returns its message.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    refusal::line_of(c10k(arguments))
}

/// Checks that `c10k serve epoll` with these arguments is refused with a line that contains `hint`.
#[track_caller]
fn serve_refused(arguments: &[&str], hint: &str) {
    let line = refused(&[&["serve", "epoll"], arguments].concat());
    assert!(line.contains(hint), "{hint:?} is not in {line:?}");
}

#[test]
fn refuses_an_unknown_model_and_names_the_known_ones() {
    let line = refused(&["serve", "telepathy"]);
    assert!(line.contains("telepathy") && line.contains("epoll"), "{line}");
}

#[test]
fn refuses_to_serve_without_a_model() {
    assert!(refused(&["serve"]).contains("MODEL"));
}

#[test]
fn refuses_unknown_subcommands_and_flags() {
    assert!(refused(&["swerve"]).contains("swerve"));
    assert!(refused(&["--swerve"]).contains("--swerve"));
    assert!(refused(&["models", "--yaml"]).contains("--yaml"));
    serve_refused(&["--wrokers", "3"], "--wrokers");
    serve_refused(&["another"], "another");
}

#[test]
fn refuses_a_missing_subcommand() {
    assert!(refused(&[]).contains("--help"));
}

#[test]
fn refuses_a_busy_port() {
    let busy = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = busy.local_addr().expect("it has an address").to_string();
    serve_refused(&["--addr", &address], &address);
}

#[test]
fn refuses_an_end_that_closes_connections_which_stay_open() {
    let line = refused(&["load", "http://127.0.0.1:1/", "--close", "client"]);
    assert!(line.contains("--lifetime"), "{line}");
    let line = refused(&["load", "http://127.0.0.1:1/", "--lifetime", "short", "--close", "both"]);
    assert!(line.contains("neither `server` nor `client`"), "{line}");
}

#[test]
fn refuses_malformed_addresses() {
    serve_refused(&["--addr", "127.0.0.1:65536"], "65536");
    serve_refused(&["--addr", "127.0.0.1:-1"], "-1");
    serve_refused(&["--addr", "127.0.0.1:http"], "http");
    serve_refused(&["--addr", "127.0.0.1"], "HOST:PORT");
    serve_refused(&["--addr", ""], "HOST:PORT");
    // Reserved for documentation, so no machine has this address.
    serve_refused(&["--addr", "192.0.2.1:0"], "192.0.2.1");
}

#[test]
fn a_name_of_several_addresses_is_served_at_the_first_and_says_so() {
    let Some(hosts) = hosts::Hosts::new() else { return };
    let mut command = hosts.command(env!("CARGO_BIN_EXE_c10k"));
    command.args(["serve", "poll", "--addr", &format!("{}:0", hosts::NAME)]);
    let mut server = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be run");
    let mut line = String::new();
    let stdout = server.stdout.as_mut().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it speaks text");
    server.kill().expect("it is our child");
    let output = server.wait_with_output().expect("it ends");
    assert!(line.starts_with("listening on 127.0.0."), "{line:?}");
    let address = line.trim_start_matches("listening on ").split(':').next().unwrap_or_default();
    let note = format!("c10k: two.test has 2 addresses; this server listens on {address} alone\n");
    // On a machine that limits the backlog, there is a note about that, too.
    assert!(String::from_utf8_lossy(&output.stderr).contains(&note), "{output:?}");
}

#[test]
fn serves_at_an_address_of_ipv6_in_brackets() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no ::1");
        return;
    }
    let mut server = Command::new(env!("CARGO_BIN_EXE_c10k"))
        .args(["serve", "poll", "--addr", "[::1]:0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command can be run");
    let mut line = String::new();
    let stdout = server.stdout.as_mut().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it speaks text");
    let address = line.trim_end().trim_start_matches("listening on ");
    let output = c10k(&[
        "load",
        &format!("http://{address}/"),
        "--warmup=0s",
        "--requests=20",
        "--connections=2",
        "--lifetime=short",
        "--close=client",
        "--json",
    ]);
    server.kill().expect("it is our child");
    server.wait().expect("it ends");
    assert!(address.starts_with("[::1]:"), "{line:?}");
    let json: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    assert_eq!(json["requests"]["completed"], 20, "{json:#}");
    let Some(held) = json["kernel"]["time_wait"]["client"].as_u64() else {
        eprintln!("not shown: this kernel does not report TIME_WAIT");
        return;
    };
    assert!((1..=20).contains(&held), "{json:#}");
}

#[test]
fn refuses_a_root_that_is_no_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let missing = folder.path().join("missing");
    let file = folder.path().join("file");
    fs::write(&file, "text").expect("a file can be written");
    for path in [missing, file] {
        let path = path.to_string_lossy();
        serve_refused(&["--addr", "127.0.0.1:0", "--root", &path], &path);
    }
}

#[test]
fn refuses_numbers_out_of_range() {
    for option in ["--workers", "--handler-threads", "--max-connections", "--backlog"] {
        for number in ["0", "-1", "x", "", "99999999999999999999999"] {
            serve_refused(&[&format!("{option}={number}")], option);
        }
    }
}

#[test]
fn refuses_handler_threads_of_a_model_that_has_none_and_names_those_that_have_some() {
    let roster: Value = serde_json::from_slice(&c10k(&["models", "--json"]).stdout)
        .expect("it prints JSON and nothing else");
    let models = roster.as_array().expect("the roster is an array");
    let name = |model: &Value| model["name"].as_str().expect("a model has a name").to_owned();
    let (with, without): (Vec<&Value>, Vec<&Value>) =
        models.iter().partition(|model| model["handlers"] == "offloaded");
    assert!(!with.is_empty() && !without.is_empty(), "{roster}");
    for model in without {
        let line = refused(&["serve", &name(model), "--handler-threads", "2"]);
        assert!(line.contains("--handler-threads") && line.contains(&name(model)), "{line}");
        assert!(with.iter().all(|model| line.contains(&name(model))), "{line}");
    }
}

#[test]
fn refuses_more_connections_than_files_can_be_opened() {
    serve_refused(&["--max-connections", "4000000000"], "ulimit");
}

#[test]
fn refuses_malformed_lists_of_processors() {
    for list in ["", "a", "1-", "2-1", "0,,1", "0;1", "-1", "99999"] {
        serve_refused(&[&format!("--pin={list}")], "--pin");
    }
}

#[test]
fn refuses_to_pin_to_processors_that_this_machine_does_not_have() {
    serve_refused(&["--addr", "127.0.0.1:0", "--pin", "1023"], "1023");
    serve_refused(&["--addr", "192.0.2.1:0", "--pin", "0,1023"], "1023");
}

#[test]
fn explains_itself() {
    for arguments in
        [&["--help"][..], &["-h"], &["help"], &["serve", "--help"], &["models", "--help"]]
    {
        let output = c10k(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
        let text = String::from_utf8(output.stdout).expect("it speaks text");
        assert!(text.contains("Usage: c10k"), "{arguments:?}: {text}");
    }
}

#[test]
fn prints_its_version() {
    let output = c10k(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        concat!("c10k ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn lists_every_model_for_people_and_for_programs() {
    let text = String::from_utf8(c10k(&["models"]).stdout).expect("it speaks text");
    let output = c10k(&["models", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let roster: Value =
        serde_json::from_slice(&output.stdout).expect("it prints JSON and nothing else");
    let entries = roster.as_array().expect("the roster is an array");
    assert_eq!(entries.len(), ROSTER.len(), "{roster}");
    limits::raise_open_files();
    for (entry, model) in entries.iter().zip(ROSTER) {
        assert_eq!(entry["name"], model.name);
        assert_eq!(entry["about"], model.about);
        for (key, value) in model.profile.named() {
            assert_eq!(entry[key], value, "{key} of {}", model.name);
        }
        let reason = limits::why_not_here(model);
        assert_eq!(entry["available"], reason.is_none(), "{entry}");
        assert_eq!(entry["reason"].as_str(), reason.as_deref());
        assert!(
            text.lines().any(|line| line.split(' ').next() == Some(model.name)),
            "{} is not in\n{text}",
            model.name
        );
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    for arguments in [
        "models",
        "models --json",
        "bench --list --json",
        "--help",
        "--version",
        "help",
        "load --help",
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
        command.args(arguments.split(' ')).stdout(writer);
        let output = command.output().expect("the command can be run");
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments}: {output:?}");
    }
}

#[test]
fn a_calibration_that_cannot_be_kept_is_not_begun() {
    for file in ["/dev/null/calibration.json", "/proc/calibration.json"] {
        // A calibration that had begun would take hours.
        let line = refused(&["calibrate", "--duration", "1h", "--output", file]);
        assert!(line.contains("/dev/null") || line.contains(file), "{line}");
    }
}
