//! The right to make network namespaces: root has it, and other users get it in a user namespace.

use std::fs;
use std::io;

use anyhow::{Error, Result, anyhow};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities};

use super::host::new_namespace;

/// Capabilities that make and change network namespaces.
const NEEDED: CapabilitySet = CapabilitySet::SYS_ADMIN.union(CapabilitySet::NET_ADMIN);

/// Gains the right to make network namespaces. Does nothing if this process has it. Otherwise this
/// process enters a user namespace of its own, in which user and group stay the same: it may then
/// change networks that it makes itself, and nothing else of the machine. Servers that it starts do
/// not inherit this right.
///
/// Call it before any thread is started: a process with several threads can't enter a user
/// namespace.
///
/// # Errors
/// When the machine refuses; the message says what to do.
pub fn enter_user_namespace() -> Result<()> {
    let is_allowed = capabilities(None).is_ok_and(|sets| sets.effective.contains(NEEDED));
    if !is_allowed {
        unshare_user().map_err(|error| refused("a user namespace", &error))?;
    }
    // Some machines give away user namespaces in which nothing is allowed.
    new_namespace().map(drop).map_err(|error| refused("a network namespace", &error))
}

fn unshare_user() -> io::Result<()> {
    // Read before: inside, they are unknown until they are mapped.
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // Without privileges, a process may map its group only once it can't leave groups any more.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

fn refused(what: &str, error: &io::Error) -> Error {
    anyhow!("cannot make {what} ({error}): {}", next_step(error, setting))
}

/// Returns advice for a refusal, from the settings of the kernel by which it may be explained.
fn next_step(error: &io::Error, setting: impl Fn(&str) -> Option<u64>) -> String {
    let is_full = [Errno::ENOSPC, Errno::EUSERS]
        .iter()
        .any(|full| error.raw_os_error() == Some(*full as i32));
    if is_full {
        return "raise the limits with `sysctl user.max_user_namespaces` and \
                `sysctl user.max_net_namespaces`"
            .to_owned();
    }
    for (name, refusing, allowing) in [
        ("kernel.unprivileged_userns_clone", 0, 1),
        ("kernel.apparmor_restrict_unprivileged_userns", 1, 0),
    ] {
        if setting(name) == Some(refusing) {
            return format!("run as root, or allow it with `sysctl {name}={allowing}`");
        }
    }
    "run as root, and outside of a container or sandbox that refuses it".to_owned()
}

/// Reads a setting of the kernel by the name that `sysctl` takes; `None` if there is none.
fn setting(name: &str) -> Option<u64> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_which_setting_to_change() {
        let advice = |error: Errno, set: &[(&str, u64)]| {
            let setting =
                |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            next_step(&error.into(), setting)
        };
        let debian = [("kernel.unprivileged_userns_clone", 0)];
        assert!(advice(Errno::EPERM, &debian).ends_with("kernel.unprivileged_userns_clone=1`"));
        let ubuntu = [("kernel.apparmor_restrict_unprivileged_userns", 1)];
        let told = advice(Errno::EACCES, &ubuntu);
        assert!(told.ends_with("kernel.apparmor_restrict_unprivileged_userns=0`"), "{told}");
        assert!(advice(Errno::ENOSPC, &debian).contains("user.max_user_namespaces"));
        assert!(advice(Errno::EPERM, &[]).contains("container"));
    }
}
