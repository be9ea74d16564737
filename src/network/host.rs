//! Hosts of a network: each is a network namespace, which a descriptor holds.
//!
//! No file and no name leads to the namespace. So the kernel removes it, and all interfaces,
//! addresses and routes in it, once its last descriptor is closed and its last process has ended.
//! Both happen when this process ends, no matter how it ends: nothing is left to be cleaned up.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns, unshare};

use super::layout::Card;

/// Namespaces of the calling thread.
const OWN_NAMESPACE: &str = "/proc/thread-self/ns/net";

/// A host of a network.
#[derive(Debug)]
pub struct Host {
    /// Name for people, such as `client`.
    pub name: &'static str,
    /// Its network cards; a switch has only ports, which are not listed.
    pub cards: Vec<Card>,
    namespace: OwnedFd,
}

impl Host {
    /// Creates a host without any interface that is up.
    pub(super) fn new(name: &'static str, cards: Vec<Card>) -> Result<Self> {
        let namespace = new_namespace().context("cannot make a network namespace")?;
        Ok(Self { name, cards, namespace })
    }

    /// Runs `action` on a new thread inside of the host, and returns its result. Sockets that it
    /// makes, and threads and processes that it starts, stay inside. While they exist, so does the
    /// host.
    ///
    /// A process that asks to be killed when the thread that started it ends must be stopped before
    /// `action` returns.
    ///
    /// # Errors
    /// When the thread can't be started, or may not enter the host.
    pub fn within<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T> {
        let enter = || setns(&self.namespace, CloneFlags::CLONE_NEWNET).map(|()| action());
        let done = on_new_thread(enter).and_then(|entered| Ok(entered?));
        done.with_context(|| format!("cannot enter the network namespace of the {}", self.name))
    }

    /// Makes `command` start its process inside of the host.
    pub fn take_in(&self, command: &mut Command) -> Result<()> {
        let namespace = self.namespace.try_clone().context("cannot open a network namespace")?;
        let enter = move || Ok(setns(&namespace, CloneFlags::CLONE_NEWNET)?);
        // SAFETY: between fork and exec, `enter` makes one system call on a descriptor that was
        // opened before; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(enter) };
        Ok(())
    }
}

impl AsFd for Host {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

/// Makes a network namespace, which has no interface but its own loopback. The thread that makes it
/// would be inside from then on, so it is a new one.
pub(super) fn new_namespace() -> io::Result<OwnedFd> {
    on_new_thread(|| -> io::Result<OwnedFd> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Ok(File::open(OWN_NAMESPACE)?.into())
    })
    .flatten()
}

fn on_new_thread<T: Send>(action: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, action)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
