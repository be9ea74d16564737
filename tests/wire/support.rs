//! Runs `c10k wire`, and reads what it says.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A capture that was made.
pub struct Wire {
    /// The object that it printed.
    pub json: Value,
    /// Folder with the page, its pictures and the packets.
    pub folder: TempDir,
}

/// Returns the command, which writes into `folder`.
pub fn command(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_c10k"));
    command.arg("wire").args(arguments).current_dir(folder.path()).stdin(Stdio::null());
    command
}

/// Makes a capture; `None` if this machine does not allow that, which is then printed.
#[track_caller]
pub fn wire(arguments: &[&str]) -> Option<Wire> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let further = ["--json", "--pcapng", "capture.pcapng"];
    let output = command(&folder, &[arguments, &further].concat()).output();
    let output = output.expect("the command can be run");
    read(&output).map(|json| Wire { json, folder })
}

/// Reads the object that a capture printed; `None` if this machine does not allow captures.
#[track_caller]
pub fn read(output: &Output) -> Option<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    let refusals =
        ["cannot make a user namespace", "cannot make a network namespace", "CAP_NET_RAW"];
    if output.status.code() == Some(2) && refusals.iter().any(|refusal| said.contains(refusal)) {
        eprintln!("left out: {said}");
        return None;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    Some(serde_json::from_slice(&output.stdout).expect("it prints one object"))
}

impl Wire {
    /// Returns the packets that fulfil a condition.
    pub fn packets(&self, is_wanted: impl Fn(&Value) -> bool) -> Vec<&Value> {
        let packets = self.json["packets"].as_array().expect("there are packets");
        packets.iter().filter(|packet| is_wanted(packet)).collect()
    }

    /// Returns the sentences of its story.
    pub fn story(&self) -> String {
        let sentences = self.json["story"].as_array().expect("there is a story").iter();
        sentences.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Returns the names of the server's calls on its connections, with their results.
    pub fn calls(&self, side: &str) -> Vec<String> {
        let calls = self.json["calls"].as_array().expect("there are calls").iter();
        calls
            .filter(|call| call["side"] == side)
            .map(|call| {
                let text = |key: &str| call[key].as_str().unwrap_or_default().to_owned();
                format!("{} = {}", text("call"), text("result"))
            })
            .collect()
    }

    /// Returns the path of a file that it wrote.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Returns sender and flags of packets, such as `client S`.
pub fn told(packets: &[&Value]) -> Vec<String> {
    let text = |packet: &Value, key: &str| packet[key].as_str().unwrap_or_default().to_owned();
    packets
        .iter()
        .map(|packet| format!("{} {}", text(packet, "from"), text(packet, "flags")))
        .collect()
}

/// True if a program is installed. A test that is left out without it says so.
pub fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let is_there = found.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("left out: {program} is not installed");
    }
    is_there
}
