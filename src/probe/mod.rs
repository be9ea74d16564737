//! Probes: numbers that are read about a server and its machine while the server is measured. One
//! probe, one file, and one line in [`ALL`].
//!
//! A probe reads what the kernel counts anyway, so that a look costs little and does not slow the
//! server. Anything that would slow the server is a pass of its own, see `src/pass/`. A
//! probe that fails is a missing number with its reason, never a failed measurement.

mod charge;
mod context_switches;
mod cpu;
mod definition;
mod faults;
#[cfg(test)]
mod fixture;
mod ksoftirqd;
mod memory;
mod neighbours;
mod noise;
mod server;
mod softirq;
mod tasks;
mod tcp;
mod throttling;
mod tree;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, bail};
use c10k_reports::record::CpuAccount;

use crate::cpus::CpuList;
pub(crate) use cpu::BothAccounts;
pub use definition::Probe;
use definition::{Finish, Values};
pub use memory::anonymous_now as anonymous_memory_now;
pub use server::Server;
pub(crate) use tcp::ListenQueues;
use tree::Tree;

/// Starts the threads that looks at a server on `cpus` need. They stay, and so would the network
/// that they are started in.
pub(crate) fn prepare(cpus: &CpuList) {
    charge::up_to_now(cpus);
}

/// Returns the processes of the tree of `pid`, including `pid`.
///
/// # Errors
/// When there is no such process.
pub fn processes(pid: u32) -> Result<Vec<i32>> {
    Ok(Tree::look(pid)?.members.iter().map(|member| member.pid).collect())
}

/// All probes, in the order in which they look. Probes whose values a delay would distort come
/// first, and probes that take long come last.
pub const ALL: &[Probe] = &[
    cpu::PROBE,
    neighbours::PROBE,
    throttling::PROBE,
    noise::PROBE,
    softirq::PROBE,
    ksoftirqd::PROBE,
    tcp::PROBE,
    faults::PROBE,
    tasks::PROBE,
    context_switches::PROBE,
    memory::PROBE,
];

/// Numbers that the probes read in one measurement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readings {
    /// Key of the reading → value, over the measured part or at its end.
    pub values: BTreeMap<String, f64>,
    /// Account that the CPU time is from, if it was read.
    pub cpu_account: Option<CpuAccount>,
    /// Name of a probe that read nothing → its reason, in one line.
    pub missing: BTreeMap<String, String>,
}

/// Probes of one measurement, after their first look.
pub struct Watch {
    server: Server,
    begun: Vec<(&'static str, Result<Finish>)>,
    /// Time up to which the kernel had counted the server's CPU time at the first look.
    counted_until: Instant,
    /// Time at which the first look was due.
    meant_for: Instant,
}

impl Watch {
    /// Makes all probes take their first look at a server's process, its descendants and the
    /// machine.
    pub fn begin(server: impl Into<Server>) -> Self {
        let server = server.into();
        let tree = Tree::of(&server);
        let begun = ALL.iter().map(|probe| (probe.name, on(&tree, |tree| probe.read.begin(tree))));
        let begun = begun.collect();
        let counted_until = tree.map_or_else(|_| Instant::now(), |tree| tree.counted_until);
        Self { begun, server, counted_until, meant_for: counted_until }
    }

    /// Sets the beginning of the measured part, so that the delay of the first look is reported.
    /// The server is busy during the delay, and the probes do not count that time.
    #[must_use]
    pub fn late_for(self, begin: Instant) -> Self {
        Self { meant_for: begin, ..self }
    }

    /// Makes all probes take their second look, and returns the readings.
    pub fn end(self) -> Readings {
        let tree = Tree::of(&self.server);
        let mut readings = Readings::default();
        for (name, begun) in self.begun {
            readings.keep(name, begun.and_then(|finish| on(&tree, finish)));
        }
        let is_read = !readings.missing.contains_key(cpu::PROBE.name);
        if is_read {
            let late = self.counted_until.saturating_duration_since(self.meant_for);
            readings.values.insert("server_cpu_late_s".to_owned(), late.as_secs_f64());
        }
        readings.cpu_account = is_read.then(|| cpu::account(&self.server));
        readings
    }
}

impl Readings {
    /// Returns no values, and the same reason for every probe.
    pub fn none(reason: &str) -> Self {
        let missing = ALL.iter().map(|probe| (probe.name.to_owned(), reason.to_owned()));
        Self { missing: missing.collect(), ..Self::default() }
    }

    fn keep(&mut self, name: &str, values: Result<Values>) {
        match values {
            Ok(values) => {
                self.values.extend(values.into_iter().map(|(key, value)| (key.to_owned(), value)));
            }
            Err(error) => _ = self.missing.insert(name.to_owned(), format!("{error:#}")),
        }
    }
}

/// Applies `read` to the tree, or returns the reason why there is none.
fn on<T>(tree: &Result<Tree>, read: impl FnOnce(&Tree) -> Result<T>) -> Result<T> {
    match tree {
        Ok(tree) => read(tree),
        Err(error) => bail!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_in_snake_case() {
        let names: HashSet<_> = ALL.iter().map(|probe| probe.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }

    #[test]
    fn a_process_that_is_gone_is_a_reason_for_every_probe() {
        let readings = Watch::begin(u32::MAX >> 1).end();
        assert_eq!(readings.values, BTreeMap::new());
        assert_eq!(readings.missing.len(), ALL.len());
        let reason = &readings.missing["cpu"];
        assert!(reason.starts_with("the server's process 2147483647 is gone"), "{reason}");
    }

    #[test]
    fn a_probe_that_fails_leaves_the_others_their_readings() {
        let mut readings = Readings::default();
        readings.keep("one", Ok(vec![("one_s", 1.0)]));
        readings.keep("two", Err(anyhow::anyhow!("the cause").context("no number")));
        assert_eq!(readings.values, BTreeMap::from([("one_s".to_owned(), 1.0)]));
        assert_eq!(
            readings.missing,
            BTreeMap::from([("two".to_owned(), "no number: the cause".to_owned())])
        );
    }

    #[test]
    fn every_probe_but_those_of_absent_features_reads_something_of_a_live_process() {
        let readings = Watch::begin(std::process::id()).end();
        for key in [
            "server_cpu_user_s",
            "memory_pss_bytes",
            "page_faults_minor",
            "tasks",
            "machine_steal_s",
        ] {
            assert!(readings.values.contains_key(key), "{key} is not in {readings:?}");
        }
    }
}
