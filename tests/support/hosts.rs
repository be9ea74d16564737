//! A name of several addresses, for a command in a mount namespace with an `/etc/hosts` of its own.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

/// The name, which is 127.0.0.1 and 127.0.0.2.
pub const NAME: &str = "two.test";

const HOSTS: &str = "127.0.0.1 two.test\n127.0.0.2 two.test\n";

/// Puts the file in its place and becomes the command.
const SCRIPT: &str = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";

/// Where [`NAME`] can be resolved.
pub struct Hosts(TempDir);

impl Hosts {
    /// `None` where this machine allows no such namespace, which is said.
    pub fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::write(folder.path().join("hosts"), HOSTS).expect("a file can be written");
        let hosts = Self(folder);
        let output = hosts.command("getent").args(["ahostsv4", NAME]).output();
        let resolved = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let is_there = resolved.is_ok_and(|text| text.contains("127.0.0.1") && text.contains("127.0.0.2"));
        if !is_there {
            eprintln!("skipped: no name of several addresses can be made on this machine");
        }
        is_there.then_some(hosts)
    }

    /// The program, which sees the name; its process is the one that is spawned.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"]);
        command.arg(self.0.path().join("hosts")).arg(program);
        command
    }
}
