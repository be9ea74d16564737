//! Checks that this machine allows an `io_uring`, and that it has all features that the loop needs.

use std::fs;
use std::io;

use io_uring::IoUring;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::ring::{self, Ring};

/// System setting that allows an `io_uring`: 0 to all processes, 1 to a group, 2 to none.
const SWITCH: &str = "/proc/sys/kernel/io_uring_disabled";

/// Reason why there is no usable `io_uring`. Its text is one line, with the next step.
#[derive(Debug, thiserror::Error)]
pub enum NoIoUring {
    /// The kernel has none, or hides it.
    #[error(
        "this system has no io_uring: needs Linux 6.0 or newer, built with CONFIG_IO_URING; \
         in a container, a security profile that allows it"
    )]
    Missing,
    /// The system setting forbids it; this is its value.
    #[error(
        "the system allows no io_uring: kernel.io_uring_disabled is {0}; \
         the superuser can allow it with `sysctl kernel.io_uring_disabled=0`"
    )]
    SwitchedOff(String),
    /// Some other policy forbids it, such as seccomp.
    #[error(
        "a security policy allows no io_uring, such as the seccomp profile of a container: \
         allow io_uring_setup, io_uring_enter and io_uring_register in it"
    )]
    Forbidden,
    /// The limit of locked memory is too low; this is its value.
    #[error(
        "there is no memory for an io_uring: raise the limit of locked memory, `ulimit -l` ({0})"
    )]
    NoMemory(String),
    /// The kernel lacks a feature.
    #[error("needs Linux 6.0 or newer, for receiving with one request and provided buffers")]
    TooOld,
    /// The kernel reports an error that says nothing about the cause.
    #[error("io_uring fails: {0}")]
    Failed(Errno),
}

/// Creates an `io_uring` to find out if that works.
pub fn probe() -> Result<(), NoIoUring> {
    let explain = |error: io::Error| {
        let switch = fs::read_to_string(SWITCH).ok();
        explain(Errno::from_io_error(&error).unwrap_or(Errno::IO), switch.as_deref().map(str::trim))
    };
    let mut io_uring = ring::open().map_err(explain)?;
    if !ring::is_new_enough(&io_uring).map_err(explain)? {
        return Err(NoIoUring::TooOld);
    }
    Ring::new(&mut io_uring).map(drop).and_then(|()| try_enter()).map_err(explain)
}

/// Submits an empty queue, as a test: a security policy may allow a ring and refuse its use.
pub fn try_enter() -> io::Result<()> {
    IoUring::new(1)?.submit().map(drop)
}

/// Returns the reason for the kernel's error `error`; `switch` is the value of [`SWITCH`].
fn explain(error: Errno, switch: Option<&str>) -> NoIoUring {
    match (error, switch) {
        (Errno::NOSYS, _) => NoIoUring::Missing,
        (Errno::PERM | Errno::ACCESS, Some(switch @ ("1" | "2"))) => {
            NoIoUring::SwitchedOff(switch.to_owned())
        }
        (Errno::PERM | Errno::ACCESS, _) => NoIoUring::Forbidden,
        (Errno::NOMEM, _) => {
            let limit = getrlimit(Resource::Memlock).current;
            NoIoUring::NoMemory(
                limit.map_or("unlimited".into(), |bytes| format!("{} KiB", bytes / 1024)),
            )
        }
        (Errno::INVAL, _) => NoIoUring::TooOld,
        (error, _) => NoIoUring::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_its_reason_and_the_next_step() {
        for (error, switch, part) in [
            (Errno::NOSYS, None, "CONFIG_IO_URING"),
            (Errno::PERM, Some("2"), "`sysctl kernel.io_uring_disabled=0`"),
            (Errno::PERM, Some("0"), "seccomp"),
            (Errno::PERM, None, "io_uring_setup"),
            (Errno::NOMEM, Some("0"), "`ulimit -l`"),
            (Errno::INVAL, Some("0"), "Linux 6.0"),
            (Errno::MFILE, None, "open files"),
        ] {
            let text = explain(error, switch).to_string();
            assert!(text.contains(part), "{error:?}: {text}");
            assert_eq!(text.lines().count(), 1);
            assert!(!text.contains("  "), "{text}");
        }
    }
}
