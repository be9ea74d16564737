//! `dnsmasq`, a DNS server that most distributions have, as a process inside of a host.

use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set,
    set_capabilities,
};

use super::host::Host;

const PROGRAM: &str = "dnsmasq";

/// Folder of programs for the superuser, which is not in the search path of every user.
const SUPERUSER_PROGRAMS: &str = "/usr/sbin";

/// Capability that listens on a port below 1024, such as the one of DNS.
const LISTEN: CapabilitySet = CapabilitySet::NET_BIND_SERVICE;

/// A running `dnsmasq`. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Dnsmasq(Child);

/// Returns the path of the program, if it is installed.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([SUPERUSER_PROGRAMS.into()]);
    which::which_in(PROGRAM, Some(std::env::join_paths(folders).ok()?), "/").ok()
}

impl Dnsmasq {
    /// Starts the program, which will answer at `server` for this one name. It is killed when the
    /// calling thread ends, so that it never outlives this process.
    pub fn start(
        program: &Path,
        host: &Host,
        server: Ipv4Addr,
        name: &str,
        address: Ipv4Addr,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command
            // No settings, names and servers of the machine.
            .args(["--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--no-poll"])
            // No change of the user, who may have no other; it would also take back the signal
            // below.
            .args(["--keep-in-foreground", "--pid-file=", "--user=", "--group="])
            .args(["--log-facility=-", "--bind-interfaces"])
            .arg(format!("--listen-address={server}"))
            .arg(format!("--host-record={name},{address}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Its own process group, so that Ctrl-C reaches only this process.
        command.process_group(0);
        host.take_in(&mut command)?;
        let set_up = || {
            let sets = capabilities(None)?;
            let inheritable = sets.inheritable | LISTEN;
            set_capabilities(None, CapabilitySets { inheritable, ..sets })?;
            configure_capability_in_ambient_set(LISTEN, true)?;
            set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        };
        // SAFETY: between fork and exec, `set_up` makes system calls only; it neither allocates nor
        // takes a lock.
        unsafe { command.pre_exec(set_up) };
        let cannot_start = || format!("cannot start {}", program.display());
        Ok(Self(command.spawn().with_context(cannot_start)?))
    }

    /// Fails with its last words if the program has ended.
    pub fn check(&mut self) -> Result<()> {
        let Some(status) = self.0.try_wait()? else { return Ok(()) };
        let mut said = String::new();
        if let Some(stderr) = &mut self.0.stderr {
            // Without its words, the status has to do.
            let _ = stderr.read_to_string(&mut said);
        }
        let last = said.trim().lines().next_back().unwrap_or("it does not say why");
        bail!("{PROGRAM} ended ({status}): {last}");
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
