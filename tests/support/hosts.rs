//! Names with several addresses, for a command in a mount namespace with an `/etc/hosts` of its own.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

/// Host name with the addresses 127.0.0.1 and 127.0.0.2.
pub const NAME: &str = "two.test";

/// `localhost` has an address of each family, as on most machines. The IPv6 address of `far.test` is
/// reserved for documentation, so that it leads nowhere.
const HOSTS: &str = "127.0.0.1 two.test\n127.0.0.2 two.test\n127.0.0.1 localhost\n::1 localhost\n\
    127.0.0.1 far.test\n2001:db8::1 far.test\n";

/// Shell script that mounts the file in its place and becomes the command.
const SCRIPT: &str = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";

/// A hosts file by which [`NAME`], `localhost` and `far.test` can be resolved.
pub struct Hosts(TempDir);

impl Hosts {
    /// Returns `None`, and prints a note, if this machine does not allow such a namespace.
    pub fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::write(folder.path().join("hosts"), HOSTS).expect("a file can be written");
        let hosts = Self(folder);
        let output = hosts.command("getent").args(["ahostsv4", NAME]).output();
        let resolved = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let is_there =
            resolved.is_ok_and(|text| text.contains("127.0.0.1") && text.contains("127.0.0.2"));
        if !is_there {
            eprintln!("skipped: no name of several addresses can be made on this machine");
        }
        is_there.then_some(hosts)
    }

    /// Returns a command that runs `program` where the names can be resolved. The process that is
    /// spawned becomes the program.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"]);
        command.arg(self.0.path().join("hosts")).arg(program);
        command
    }
}
