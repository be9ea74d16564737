//! Where and by whom a capture is made: of a running server, by an ordinary user, until an
//! interrupt.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::json;

use crate::processes::{Process, descendants};
use crate::refusal;
use crate::support::{command, read, told};
use crate::wait;

/// A user without any rights; distributions call it `nobody`.
const NOBODY: u32 = 65534;

/// A server that runs already.
struct Server(Child);

impl Server {
    fn start() -> (Self, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
        command.args(["serve", "epoll", "--addr", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server can be started");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it can be read");
        let address = line.trim_end().strip_prefix("listening on ").expect("it listens");
        (Self(child), format!("http://{address}/"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_that_runs_already_is_captured_without_its_calls() {
    let (_server, url) = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let output = command(&folder, &[&url, "--json"]).output().expect("the command can be run");
    let Some(json) = read(&output) else { return };
    let packets: Vec<_> = json["packets"].as_array().expect("there are packets").iter().collect();
    let packets_told = told(&packets);
    assert_eq!(packets_told[..3], ["client S", "server S.", "client ."], "{packets_told:?}");
    // Each packet is there once, although it passes the loopback interface twice.
    let keys = ["from", "flags", "sequence", "acknowledgement", "length"];
    let mut told: Vec<_> =
        packets.iter().map(|packet| keys.map(|key| packet[key].to_string())).collect();
    let count = told.len();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), count, "{packets_told:?}");
    assert_eq!((&json["closed_first"], &json["time_wait"]), (&json!("server"), &json!("server")));
    let calls = json["calls"].as_array().expect("there are calls");
    assert!(calls.iter().all(|call| call["side"] == "client"), "{calls:?}");
    assert!(json["notes"].to_string().contains("name a model to see them"), "{}", json["notes"]);
}

#[test]
fn a_server_that_does_not_run_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let output = command(&folder, &["http://127.0.0.1:1/"]).output();
    let line = refusal::line_of(output.expect("the command can be run"));
    assert!(line.contains("127.0.0.1:1") || line.contains("CAP_NET_RAW"), "{line}");
}

#[test]
fn an_ordinary_user_needs_no_rights_for_a_model() {
    if !geteuid().is_root() {
        return eprintln!(
            "left out: the other tests have shown it, since they are not run by root"
        );
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root gives folders away");
    let arguments = ["epoll", "--json", "--topology", "routed"];
    let mut command = command(&folder, &arguments);
    let output = match command.uid(NOBODY).gid(NOBODY).output() {
        Ok(output) => output,
        // The folder of the build may be closed to others.
        Err(error) => return eprintln!("left out: that user can't start c10k: {error}"),
    };
    let Some(json) = read(&output) else { return };
    assert_eq!((&json["closed_first"], &json["time_wait"]), (&json!("server"), &json!("server")));
    let has_strace = Command::new("strace").arg("-V").output().is_ok();
    let calls = json["calls"].as_array().expect("there are calls");
    let of_server = calls.iter().filter(|call| call["side"] == "server").count();
    assert_eq!(of_server > 0, has_strace, "{}", json["notes"]);
}

#[test]
fn a_url_without_the_right_to_capture_is_refused_with_the_next_step() {
    if !geteuid().is_root() {
        return eprintln!("left out: only root can become a user without rights");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root gives folders away");
    let mut command = command(&folder, &["http://127.0.0.1:1/"]);
    match command.uid(NOBODY).gid(NOBODY).output() {
        Ok(output) => {
            let line = refusal::line_of(output);
            assert!(line.contains("CAP_NET_RAW") && line.contains("run this as root"), "{line}");
        }
        Err(error) => eprintln!("left out: that user can't start c10k: {error}"),
    }
}

#[test]
fn an_interrupt_ends_it_and_leaves_no_process() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = command(&folder, &["epoll", "--scene", "syn"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the command can be run");
    let pid = child.id().cast_signed();
    let mut processes = Vec::new();
    wait::until("the server is started, or can't be", || {
        processes = descendants(pid);
        let is_server = |process: &Process| {
            let words = fs::read_to_string(format!("/proc/{}/cmdline", process.pid));
            words.is_ok_and(|words| words.starts_with("c10k\0serve") || words.contains("\0serve\0"))
        };
        processes.iter().any(is_server) || child.try_wait().is_ok_and(|status| status.is_some())
    });
    // It may have ended by itself, if this machine does not allow captures.
    let _ = kill_process(Pid::from_raw(pid).expect("it has a number"), Signal::INT);
    let output = child.wait_with_output().expect("it ends");
    if output.status.code() == Some(2) {
        return eprintln!("left out: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    wait::until("its processes are gone", || processes.iter().all(|process| !process.is_there()));
}
