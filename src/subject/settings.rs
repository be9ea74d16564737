//! What one measurement asks of a launch.

use std::borrow::Cow;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::process::Command;
use std::time::Duration;

use super::process::{START_TIME, START_TIME_BEHIND_A_PREFIX};
use super::program::Program;
use super::template;
use crate::cpus::CpuList;
use crate::interrupt::Interrupt;

/// What one measurement asks of a launch.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The program that serves the models. Programs that belong to it lie in the same folder.
    pub c10k: &'a Program,
    /// Processors of the server; without them, those of the caller.
    pub cpus: Option<&'a CpuList>,
    /// Size of the server's pool, or number of its loops. Without it, a server whose workers have
    /// one connection each gets one for every connection, and every other server decides by itself.
    pub workers: Option<NonZeroUsize>,
    /// Length of the server's listen queue, where it is asked for.
    pub backlog: Option<NonZeroUsize>,
    /// All connections of the measurement at once, idle and slow ones included.
    pub connections: usize,
    /// Program and arguments put before the server's command, such as `strace -DD`. It must leave
    /// the server's program in the process that is started: that one is measured and stopped.
    pub prefix: &'a [OsString],
    /// What ends the wait for its start or its end early.
    pub interrupt: Option<&'a Interrupt>,
}

impl<'a> Settings<'a> {
    /// So many connections and no further wishes.
    pub fn new(c10k: &'a Program, connections: usize) -> Self {
        Self { c10k, cpus: None, workers: None, backlog: None, connections, prefix: &[], interrupt: None }
    }

    /// As many workers as are asked for, or one for each connection.
    pub(super) fn workers_or_connections(&self) -> usize {
        self.workers.map_or(self.connections.max(1), NonZeroUsize::get)
    }

    /// How long the server may take to listen.
    pub(super) fn start_time(&self) -> Duration {
        if self.prefix.is_empty() { START_TIME } else { START_TIME_BEHIND_A_PREFIX }
    }

    /// A command behind the prefix.
    pub(super) fn command(&self, program: impl Into<OsString>, args: &[String]) -> Command {
        let words = self.prefix.iter().cloned().chain([program.into()]);
        let mut words = words.chain(args.iter().map(OsString::from));
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }

    /// The same for a shell, with `taskset` in place of what the harness does itself.
    pub(super) fn shell_line(&self, words: &[String]) -> String {
        let pin = self.cpus.map(|cpus| ["taskset".to_owned(), "--cpu-list".to_owned(), cpus.to_string()]);
        let prefix = self.prefix.iter().map(|word| word.to_string_lossy().into_owned());
        let line: Vec<String> =
            pin.into_iter().flatten().chain(prefix).chain(words.iter().cloned()).collect();
        join(&line)
    }
}

/// Words as one line for a shell, quoted where they have to be. Placeholders stay readable.
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
