//! Settings of a launch: what one measurement asks of it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::process::Command;
use std::time::Duration;

use super::process::{START_TIME, START_TIME_BEHIND_A_PREFIX};
use super::program::Program;
use super::template;
use crate::cpus::CpuList;
use crate::interrupt::Interrupt;
use crate::network::Host;

/// Settings of a launch, as one measurement needs them.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The program that serves the models. Programs that belong to it lie in the same folder.
    pub c10k: &'a Program,
    /// Processors of the server; without them, those of the caller.
    pub cpus: Option<&'a CpuList>,
    /// Number of the server's workers, loops or threads of a runtime that serve connections.
    /// Without it, a server whose workers have one connection each gets one worker for every
    /// connection, and every other server decides by itself.
    pub workers: Option<NonZeroUsize>,
    /// Number of the server's threads for handlers, if it is asked for.
    pub handler_threads: Option<NonZeroUsize>,
    /// Length of the server's listen queue, if it is asked for.
    pub backlog: Option<NonZeroUsize>,
    /// Number of connections of the measurement at once, idle and slow ones included.
    pub connections: usize,
    /// Program and arguments put before the server's command, such as `strace -DD`. It must leave
    /// the server's program in the process that is started: that one is measured and stopped.
    pub prefix: &'a [OsString],
    /// Address that the server listens on.
    pub address: IpAddr,
    /// Port that a model listens on; 0 is a free one.
    pub port: u16,
    /// Host of a network that the server runs on; without it, that of the caller. The caller has to
    /// be where the server can be reached.
    pub host: Option<&'a Host>,
    /// Interrupt that ends the wait for the server's start or end early.
    pub interrupt: Option<&'a Interrupt>,
}

impl<'a> Settings<'a> {
    /// Creates settings with this number of connections, and no other requirements.
    pub fn new(c10k: &'a Program, connections: usize) -> Self {
        Self {
            c10k,
            cpus: None,
            workers: None,
            handler_threads: None,
            backlog: None,
            connections,
            prefix: &[],
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            host: None,
            interrupt: None,
        }
    }

    /// Returns the number of workers that is asked for, or one for each connection.
    pub(super) fn workers_or_connections(&self) -> usize {
        self.or_connections(self.workers)
    }

    /// Returns the number of threads for handlers that is asked for, or one for each connection.
    pub(super) fn handler_threads_or_connections(&self) -> usize {
        self.or_connections(self.handler_threads)
    }

    fn or_connections(&self, count: Option<NonZeroUsize>) -> usize {
        count.map_or(self.connections.max(1), NonZeroUsize::get)
    }

    /// Returns the address that a model is told to listen on.
    pub(super) fn listen_address(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.port))
    }

    /// Returns the time that the server may take to listen.
    pub(super) fn start_time(&self) -> Duration {
        if self.prefix.is_empty() { START_TIME } else { START_TIME_BEHIND_A_PREFIX }
    }

    /// Returns a command that begins with the prefix.
    pub(super) fn command(&self, program: impl Into<OsString>, args: &[String]) -> Command {
        let words = self.prefix.iter().cloned().chain([program.into()]);
        let mut words = words.chain(args.iter().map(OsString::from));
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }

    /// Returns a line for a shell that begins with the prefix, and has `taskset` in place of the
    /// pinning that the harness does itself.
    pub(super) fn shell_line(&self, words: &[String]) -> String {
        let pin =
            self.cpus.map(|cpus| ["taskset".to_owned(), "--cpu-list".to_owned(), cpus.to_string()]);
        let prefix = self.prefix.iter().map(|word| word.to_string_lossy().into_owned());
        let line: Vec<String> =
            pin.into_iter().flatten().chain(prefix).chain(words.iter().cloned()).collect();
        join(&line)
    }
}

/// Joins words to one line for a shell, quoted where they have to be. Placeholders stay readable.
pub(super) fn join(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> Cow<'_, str> {
    let plain = template::replace_all(word, "x");
    match shlex::try_quote(&plain) {
        Ok(quoted) if quoted != plain => shlex::try_quote(word).unwrap_or(word.into()),
        _ => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_pasted_into_a_shell_and_its_placeholders_read() {
        let words = ["a", "{dir}/b", "c d", "{port} $e", ""].map(str::to_owned);
        assert_eq!(join(&words), "a {dir}/b 'c d' '{port} $e' ''");
    }
}
